"""The page, in a browser without a window."""

import os
import pathlib
import shutil
import tempfile
import tomllib

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

TEXT = "Those migrants are vermin. The 🌉 is open."
PICTURES = os.environ.get("PAGE_PICTURES")
POLICIES = pathlib.Path(__file__).parents[2] / "models" / "dignity-small-en" / "policies"

pytestmark = pytest.mark.skipif(
    not shutil.which("chromium") or not shutil.which("chromedriver"), reason="no browser"
)


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture
def page(url, scheme):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as profile:
        for flag in (
            "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
            "disable-background-networking", "disable-component-update", "disable-sync",
            "window-size=1100,1500", f"user-data-dir={profile}",
        ):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        browser = webdriver.Chrome(options, service)
        try:
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            browser.get(url)
            Page(browser).wait(lambda page: page.text("policy"))
            yield Page(browser)
            # Neither errors nor anything that the page's security policy had to stop.
            assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
            script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
            asked = browser.execute_script(script)
            assert asked and all(name.startswith(f"{url}/") for name in asked), asked
        finally:
            browser.quit()


class Page:
    def __init__(self, browser):
        self.browser = browser

    def __getitem__(self, name):
        return self.browser.find_element(By.ID, name)

    def text(self, name):
        return self[name].text

    def shown(self):
        """The text as it is seen, without what only screen readers are told."""
        script = """const copy = document.getElementById("shown").cloneNode(true);
            copy.querySelectorAll(".aside").forEach((aside) => aside.remove());
            return copy.textContent;"""
        return self.browser.execute_script(script)

    def wait(self, holds):
        return WebDriverWait(self.browser, 20).until(lambda _: holds(self))

    def keys(self, *keys):
        chain = ActionChains(self.browser)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def focused(self):
        return self.browser.switch_to.active_element.get_attribute("id")

    def set(self, name, value):
        script = """arguments[0].value = arguments[1];
            arguments[0].dispatchEvent(new Event('input'));
            arguments[0].dispatchEvent(new Event('change'));"""
        self.browser.execute_script(script, self[name], value)

    def score(self, text):
        # Drivers cannot type characters beyond the basic plane.
        script = "arguments[0].value = arguments[1]"
        self.browser.execute_script(script, self["text"], text)
        self["score"].click()
        self.wait(lambda page: "dehumanization 0." in page.text("status"))

    def picture(self, name):
        if PICTURES:
            size = "return document.documentElement.scrollHeight"
            width = self.browser.get_window_size()["width"]
            self.browser.set_window_size(width, self.browser.execute_script(size) + 160)
            pathlib.Path(PICTURES).mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(f"{PICTURES}/{name}.png")


def test_a_text_is_scored_masked_and_decided_again(page, scheme):
    page.picture(f"{scheme}-empty")
    page.score(TEXT)
    assert page.text("verdict") == "⚑ flag"
    assert "national origin" in page.text("because")
    assert page.text("status").startswith("Verdict: flag, dehumanization 0.")
    assert len(page.browser.find_elements(By.CSS_SELECTOR, "#categories li")) == 10

    assert "vermin" not in page.shown() and "v*****" in page.shown()
    # Offsets are bytes: what follows a character of four is still cut where it begins.
    assert len(page.shown()) == len(TEXT)
    for word, shown in zip(TEXT.split(" "), page.shown().split(" "), strict=True):
        letters, first = word.rstrip("."), word[0] if word[0].isalnum() else "*"
        assert shown in (word, first + "*" * (len(letters) - 1) + word[len(letters):])
    page.picture(f"{scheme}-masked")
    page["reveal"].click()
    assert page.shown() == TEXT
    marks = [mark.text for mark in page.browser.find_elements(By.CSS_SELECTOR, "#shown mark")]
    assert "vermin" in marks and "migrants" in marks
    page.picture(f"{scheme}-shown")

    page.set("flag", "1")
    assert page.text("verdict") == "? review"
    assert page.text("flag-value") == "1.000"
    page.set("review", "1")
    assert page.text("verdict") == "✓ allow"
    page.set("flag", "0.1")
    assert page["review"].get_attribute("value") == "0.1"
    assert page.text("verdict") == "⚑ flag"
    page["reset"].click()
    policy = tomllib.loads((POLICIES / "balanced.toml").read_text())
    assert page.text("flag-value") == f"{policy['flag']['dehumanization']:.3f}"
    Select(page["policy"]).select_by_visible_text("high-precision")
    assert float(page.text("flag-value")) > 0.5
    assert page["status"].get_attribute("aria-live") == "polite"


def test_the_keyboard_is_enough(page):
    order = []
    page["text"].click()
    page.keys("Those migrants are vermin.")
    for _ in range(4):
        page.keys(Keys.TAB)
        order.append(page.focused())
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        assert page.browser.execute_script(outline) != "none", order
    assert order == ["score", "choose", "policy", "reveal"]
    page["text"].click()
    ActionChains(page.browser).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(
        Keys.CONTROL
    ).perform()
    page.wait(lambda page: page.text("verdict") == "⚑ flag")
    for _ in range(4):
        page.keys(Keys.TAB)
    page.keys(Keys.SPACE)
    assert "vermin" in page.shown()
    page.keys(Keys.TAB)
    assert page.focused() == "reset"
    page.keys(Keys.TAB, Keys.END)
    assert page.text("verdict") == "? review"
    page.wait(lambda page: page.text("status").startswith("Verdict: review"))
    page.keys(Keys.TAB, Keys.END)
    assert page.text("verdict") == "✓ allow"
    ActionChains(page.browser).key_down(Keys.SHIFT).send_keys(Keys.TAB, Keys.TAB).key_up(
        Keys.SHIFT
    ).perform()
    page.keys(Keys.ENTER)
    assert page.text("verdict") == "⚑ flag"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("posts.txt", f"The mill reopens.\n\n{TEXT}\n"),
        ("posts.jsonl", '{"text": "The mill reopens."}\n{"text": ""}\n{"text": "%s"}\n' % TEXT),
        ("posts.csv", f'id,text\r\n1,The mill reopens.\r\n2,\r\n3,"{TEXT}"\r\n'),
    ],
)
def test_a_file_is_scored_row_by_row(page, scheme, tmp_path, name, content):
    file = tmp_path / name
    file.write_text(content, newline="")
    page["file"].send_keys(str(file))
    page.wait(lambda page: "3 texts" in page.text("status"))
    assert page.text("rows-summary") == "1 to flag, 0 to review, 1 to allow, 1 not scored."
    rows = page.browser.find_elements(By.CSS_SELECTOR, "#rows tr")
    assert "vermin" not in page.text("rows") and "the text is empty" in rows[1].text
    rows[2].find_element(By.TAG_NAME, "button").click()
    page.wait(lambda page: page.text("verdict") == "⚑ flag")
    assert "v*****" in page.shown()
    assert page.focused() == "result-title"
    page.picture(f"{scheme}-{name}")


def test_faults_are_told(page, tmp_path):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    page["file"].send_keys(str(wrong))
    page.wait(lambda page: page.text("fault") == "The file has no column “text”.")
    page["text"].click()
    page.keys(" ")
    page["score"].click()
    page.wait(lambda page: page.text("because") == "the text is blank")
    assert page.text("fault") == ""


def test_a_narrow_window_needs_no_scrolling_sideways(page, scheme):
    page.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 800, "deviceScaleFactor": 2, "mobile": True},
    )
    page.score(TEXT)
    width = "return document.documentElement.scrollWidth"
    assert page.browser.execute_script(width) <= 360
    page.picture(f"{scheme}-narrow")
