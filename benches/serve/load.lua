-- One short text a request, no two alike, for wrk:
--
--   dignity serve --threads 2 --log-level off &
--   wrk --threads 1 --connections 64 --duration 30s --latency \
--     --script benches/serve/load.lua http://127.0.0.1:8080/v1/moderations
--
-- and for the same texts offline:
--
--   lua benches/serve/load.lua 6000 > texts.txt
--   dignity score texts.txt --threads 2 --output scored.jsonl

local people = {"teachers", "neighbours", "nurses", "fishermen", "bakers", "drivers", "gardeners", "painters"}
local places = {"harbour", "market", "old mill", "station", "library", "bridge", "school", "village hall"}
local deeds = {"opened a small shop", "repaired the roof", "sang until midnight", "planted apple trees",
  "met on Sunday", "wrote a long letter", "painted the fence", "cooked soup for everyone"}

-- A text of some thirty tokens.
local function text(n)
  local function pick(list, by)
    return list[math.floor(n / by) % #list + 1]
  end
  return string.format("The %s near the %s %s on day %d, and number %d of the %s said it was about time that somebody did.",
    pick(people, 1), pick(places, 8), pick(deeds, 64), n % 365, n, pick(people, 3))
end

if not wrk then
  for n = 1, tonumber(arg[1]) do
    print(text(n))
  end
  return
end

local sent = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

function request()
  sent = sent + 1
  return wrk.format(nil, nil, nil, '{"input": "' .. text(sent) .. '"}')
end
