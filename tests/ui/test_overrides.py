# SPDX-License-Identifier: Apache-2.0
"""The override editor in a real browser, over a real Consul: what is wrong is said beside its line, what changes is
shown before it is saved, who was faster is seen, and what came of it is told."""

import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from harness.browser import Page
from harness.consul import Consul
from harness.process import wait_until
from harness.tagway import Tagway, route

CONFLICT = "409 (Conflict)"  # Chromium writes it to the console


@pytest.fixture(scope="module")
def consul(consul_binary):
    with Consul(consul_binary) as consul:
        yield consul


@pytest.fixture(scope="module")
def tagway(consul, origin):
    consul.register("web", origin.port, ["urlprefix-/"])
    with Tagway(options=consul.options(ui_access="rw")) as tagway:
        wait_until(tagway.routes, what="the route of web")
        yield tagway


class Editor(Page):
    def __init__(self, browser, tagway, path=""):
        super().__init__(browser, tagway, path=f"/manual{path}")
        self.wait_for("#editor-text", lambda: self.text("#document-name") != "")

    def wait_for(self, what, condition):
        return wait_until(condition, 15, f"{what}; message: {self.text('#overrides-message')!r}", 0.02)

    @property
    def field(self):
        return self.browser.find_element(By.ID, "editor-text")

    @property
    def value(self):
        return self.field.get_property("value")

    def write(self, text):
        self.field.send_keys(Keys.CONTROL, "a")
        self.field.send_keys(text or Keys.DELETE)

    def syntax(self, wanted):
        self.wait_for(f"syntax {wanted!r}, is {self.text('#syntax')!r}", lambda: self.text("#syntax") == wanted)

    def press(self, selector):
        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def choose(self, choice):
        self.press(f"#dialog[open] [data-choice={choice}]")

    def dialog(self):
        return self.wait_for("the dialog", self.dialog_text)

    def dialog_text(self):
        return self.run("const d = document.getElementById('dialog'); return d.open ? d.innerText : ''")

    def diff(self):
        return [line.replace("\n", "") for line in self.run("""
            return [...document.querySelectorAll("#dialog .diff > *")].map((line) => line.children.length
              ? line.children[1].textContent + line.children[2].textContent : "= " + line.textContent)""")]

    def message(self, wanted):
        self.wait_for(f"message {wanted!r}", lambda: wanted in self.text("#overrides-message"))


@pytest.fixture
def document(consul, tagway, request):
    """A document of the test's own, and its key."""
    path = f"/t{abs(hash(request.node.name)) % 10**8}"
    consul.kv_put(f"fabio/config{path}", "# first\nroute add one /one http://127.0.0.1:1/\n# last")
    wait_until(lambda: any(row["service"] == "one" for row in tagway.routes()), what="its route")
    yield path
    consul.kv_delete(f"fabio/config{path}")
    wait_until(lambda: [row["service"] for row in tagway.routes()] == ["web"], what="its end")


def stored(consul, path):
    import base64
    found = consul.get(f"/v1/kv/fabio/config{path}")
    return base64.b64decode(found[0]["Value"]).decode() if found else None


pytestmark = pytest.mark.consul


def test_a_document_is_read(browser, tagway, document):
    page = Editor(browser, tagway, document)
    assert page.text("#document-name") == document
    assert page.value == "# first\nroute add one /one http://127.0.0.1:1/\n# last"
    page.syntax("1 command, no mistakes")
    assert page.text("#editor-numbers").split() == ["1", "2", "3"]
    assert page.all("#documents a")[0] == "default"
    assert document in page.all("#documents a")
    assert page.run("return document.querySelector('#documents [aria-current]').innerText") == document
    assert not page.browser.find_element(By.ID, "save").is_enabled()
    page.assert_clean()


def test_documents_are_changed_and_the_browser_goes_back(browser, tagway, document):
    page = Editor(browser, tagway, document)
    page.press("#documents li a")
    page.wait_for("default", lambda: page.text("#document-name") == "default")
    assert browser.current_url == f"{tagway.admin_url}/manual"
    browser.back()
    page.wait_for("the first", lambda: page.text("#document-name") == document)
    assert browser.current_url.endswith(f"/manual{document}")
    page.press("#tab-problems")
    assert browser.current_url.endswith("/routes?tab=problems")
    page.press("#tab-overrides")
    assert browser.current_url.endswith(f"/manual{document}")
    page.assert_clean()


def test_mistakes_are_said_beside_their_lines(browser, tagway, document):
    page = Editor(browser, tagway, document)
    page.write("route add a /a http://127.0.0.1:1/\nroute add b\n\nroute del\n")
    page.syntax("1 command, 2 wrong lines")
    notes = page.run("""return [...document.querySelectorAll(".note")].map((note) => [note.textContent,
        Math.round(note.getBoundingClientRect().top - document.getElementById("editor-text").getBoundingClientRect().top)])""")
    assert notes == [["syntax error: 'route add' invalid", 30], ["syntax error: 'route del' invalid", 70]]
    assert len(page.run("return [...document.querySelectorAll('.mark')]")) == 2
    page.press(".note:nth-child(2)")
    assert page.run("const t = document.activeElement; return t.value.slice(t.selectionStart, t.selectionEnd)") == "route del"
    page.field.send_keys("# gone")
    page.syntax("1 command, 1 wrong line")
    page.assert_clean()


def test_save_shows_the_changes_first(browser, tagway, consul, document, origin):
    page = Editor(browser, tagway, document)
    page.write(f"# first\nroute add two /two {origin.url}\n# last")
    page.syntax("1 command, no mistakes")
    page.press("#save")
    assert page.dialog().startswith(f"Save changes to {document}?\n\n1 line added, 1 removed")
    assert page.diff() == [" # first", "-route add one /one http://127.0.0.1:1/", f"+route add two /two {origin.url}",
                           " # last"]
    assert "one" in stored(consul, document)
    page.choose("cancel")
    assert "one" in stored(consul, document)
    page.press("#save")
    page.dialog()
    page.choose("save")
    page.message("Saved as version")
    assert stored(consul, document) == f"# first\nroute add two /two {origin.url}\n# last"
    page.wait_for("the effect", lambda: len(page.all(".effect-row")) == 2)
    assert page.text("#effect").startswith("Targets of routes: 1 added, 1 removed, 0 changed.")
    assert [row.split("\n")[:2] for row in page.all(".effect-row")] == [["+", "/two"], ["-", "/one"]]
    assert tagway.get("/two").status == 200
    assert page.text("#unsaved") == ""
    page.press("[data-tab-link=routes]")
    page.wait_targets(2)
    page.assert_clean()


def test_keyboard_alone(browser, tagway, consul, document):
    page = Editor(browser, tagway, document)
    page.write("# typed")
    page.field.send_keys(Keys.CONTROL, "s")
    page.dialog()
    active = browser.switch_to.active_element
    assert active.text == "Save"
    active.send_keys(Keys.ESCAPE)
    page.wait_for("the end of the dialog", lambda: not page.dialog_text())
    page.field.send_keys(Keys.CONTROL, "s")
    page.dialog()
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    page.message("Saved as version")
    assert stored(consul, document) == "# typed"


def test_wrong_lines_can_be_saved_knowingly(browser, tagway, consul, document):
    page = Editor(browser, tagway, document)
    page.write("route add one /one http://127.0.0.1:1/\nrouted <b>")
    page.press("#save")
    assert "One line is wrong and will have no effect:\nline 2: syntax error: 'route' expected" in page.dialog()
    assert browser.switch_to.active_element.text == "Keep editing"
    page.choose("save")
    page.message("Saved as version")
    page.wait_for("the problem", lambda: "1 override line is not in effect" in page.text("#effect"))
    page.press("#effect [data-tab-link=problems]")
    page.wait_for("the problem", lambda: "routed <b>" in page.text(".problem"))
    page.assert_clean()


def change_under(page, consul, document, text):
    page.write("# mine")
    consul.kv_put(f"fabio/config{document}", text)
    page.press("#save")
    page.dialog()
    page.choose("save")
    page.wait_for("the conflict", lambda: "Somebody else" in page.dialog_text())
    assert page.diff()[:1] == [f"-{text}"] and page.diff()[-1] == "+# mine"


def test_conflict_mine(browser, tagway, consul, document):
    page = Editor(browser, tagway, document)
    change_under(page, consul, document, "# theirs")
    page.choose("mine")
    page.message("Saved as version")
    assert stored(consul, document) == "# mine"
    page.assert_clean(CONFLICT)


def test_conflict_theirs(browser, tagway, consul, document):
    page = Editor(browser, tagway, document)
    change_under(page, consul, document, "# theirs")
    page.choose("theirs")
    page.message("dropped")
    assert page.value == stored(consul, document) == "# theirs"
    page.write("# then mine")
    page.press("#save")
    page.dialog()
    page.choose("save")
    page.message("Saved as version")
    assert stored(consul, document) == "# then mine"


def test_conflict_twice_and_keep_editing(browser, tagway, consul, document):
    page = Editor(browser, tagway, document)
    change_under(page, consul, document, "# theirs")
    consul.kv_put(f"fabio/config{document}", "# theirs again")
    page.choose("mine")
    page.wait_for("the second conflict", lambda: page.diff()[:1] == ["-# theirs again"])
    page.choose("edit")
    assert page.value == "# mine"
    assert page.text("#unsaved") == "not saved"
    assert stored(consul, document) == "# theirs again"


def test_a_new_document(browser, tagway, consul):
    page = Editor(browser, tagway)
    name = page.browser.find_element(By.ID, "new-path")
    name.send_keys("a?b", Keys.ENTER)
    assert "Letters" in page.text("#new-problem")
    name.clear()
    name.send_keys("made/here", Keys.ENTER)
    page.wait_for("the document", lambda: page.text("#document-name") == "/made/here")
    assert page.text("#new-problem") == ""
    assert browser.current_url.endswith("/manual/made/here")
    assert page.all("#documents li")[-1].split("\n") == ["/made/here", "new"]
    page.write("# made")
    page.press("#save")
    page.dialog()
    page.choose("save")
    page.message("Saved as version")
    assert stored(consul, "/made/here") == "# made"
    consul.kv_delete("fabio/config/made/here")


@pytest.mark.parametrize("key, path", [("/with%20space%3F%23%25", "/with space?#%"), ("xyz", "xyz"),
                                       ("/%3Cimg%20src=x%20onerror=alert(1)%3E", "/<img src=x onerror=alert(1)>")])
def test_documents_that_fabio_cannot_reach(browser, tagway, consul, key, path):
    consul.put(f"/v1/kv/fabio/config{key}", b"# odd")
    try:
        page = Editor(browser, tagway)
        page.wait_for("it to be listed", lambda: path in page.all("#documents a"))
        page.run("[...document.querySelectorAll('#documents a')].find((a) => a.textContent === arguments[0]).click()", path)
        page.wait_for("the document", lambda: page.value == "# odd")
        browser.refresh()
        page.wait_for("the document", lambda: page.text("#document-name") == path and page.value == "# odd")
        page.write("# saved")
        page.press("#save")
        page.dialog()
        page.choose("save")
        page.message("Saved as version")
        assert consul.get("/v1/kv/fabio/config?keys").count(f"fabio/config{path}") == 1
        page.assert_clean()
    finally:
        consul.call("DELETE", f"/v1/kv/fabio/config{key}")


def test_unsaved_changes_are_not_lost_unasked(browser, tagway, document):
    page = Editor(browser, tagway, document)
    page.write("# unsaved")
    page.press("#documents li a")
    assert "Discard your changes?" in page.dialog()
    page.choose("keep")
    assert page.value == "# unsaved" and page.text("#document-name") == document
    page.press("#tab-routes")
    page.press("#tab-overrides")
    assert page.value == "# unsaved"
    page.press("#revert")
    page.dialog()
    page.choose("discard")
    page.wait_for("the saved text", lambda: page.value.startswith("# first"))
    assert page.text("#unsaved") == ""


def test_lost_consul_is_told(browser, consul_binary):
    with Consul(consul_binary) as own:
        own.kv_put("fabio/config", "# text")
        with Tagway(options=own.options(ui_access="rw")) as tagway:
            page = Editor(browser, tagway)
            page.write("# more")
            own.kill()
            page.press("#save")
            page.dialog()
            page.choose("save")
            page.message("Not saved (500)")
            assert page.value == "# more" and page.text("#unsaved") == "not saved"


def test_help(browser, tagway):
    page = Editor(browser, tagway)
    assert not page.all("#help dt")
    page.press("#help-toggle")
    assert any(text.startswith("route weight") for text in page.all("#help dt"))
    assert page.run("return document.getElementById('help-toggle').getAttribute('aria-expanded')") == "true"


@pytest.mark.parametrize("width", [1400, 900, 480, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows(browser, tagway, document, width, scheme):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    try:
        page = Editor(browser, tagway, document)
        page.write("route add " + "x" * 300 + "\nwrong")
        page.syntax("0 commands, 2 wrong lines")
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        errors = page.all(".note") if width > 900 else page.all("#findings li")
        assert len(errors) == 2
        page.press("#save")
        page.dialog()
        assert page.run("const d = document.getElementById('dialog'); return d.scrollWidth <= d.clientWidth")
        page.choose("cancel")
        background = page.run("return getComputedStyle(document.querySelector('.sheet')).backgroundColor")
        assert (sum(map(int, background[4:-1].split(","))) < 300) == (scheme == "dark")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_read_only_is_explained(browser, consul):
    with Tagway(options=consul.options(ui_access="ro")) as tagway:
        page = Page(browser, tagway)
        page.run("document.getElementById('tab-overrides').click()")
        wait_until(lambda: "ui.access=ro" in page.text("#overrides-obstacle"), what="the explanation")
        assert not page.all("#editor-text")
        assert browser.current_url.endswith("/routes?tab=overrides")
        page.assert_clean()


def test_a_registry_without_overrides_is_explained(browser, origin):
    with Tagway(route(origin)) as tagway:
        page = Page(browser, tagway, path="/manual/x")
        wait_until(lambda: "The file registry keeps no overrides" in page.text("#overrides-obstacle"), what="the explanation")
        assert not page.all("#editor-text")
        page.assert_clean()


def test_base_path(browser, consul, document):
    with Tagway(options=consul.options(ui_access="rw", ui_path="/lb")) as tagway:
        page = Editor.__new__(Editor)
        Page.__init__(page, browser, tagway, path=f"/lb/manual{document}")
        page.wait_for("the document", lambda: page.text("#document-name") == document)
        page.write("# based")
        page.press("#save")
        page.dialog()
        page.choose("save")
        page.message("Saved as version")
        assert stored(consul, document) == "# based"
        page.assert_clean()


def test_behind_a_password(browser, consul, tmp_path):
    users = tmp_path / "users"
    users.write_text("ann:secret\n", encoding="utf-8")
    options = consul.options(ui_access="rw", ui_auth=f"name=staff;type=basic;file={users}")
    with Tagway(options=options, is_ready=False) as tagway:
        wait_until(lambda: tagway.admin("/ready", may_fail=True).status == 200, 20, "readiness")
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"Authorization": "Basic YW5uOnNlY3JldA=="}})
        try:
            page = Editor(browser, tagway)
            page.wait_for("live", lambda: page.text("#live-text") == "live")
            page.syntax("0 commands, no mistakes")
            page.assert_clean()
        finally:
            browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})
        answer = tagway.admin("/manual")
        assert answer.status == 401 and answer.get("www-authenticate") == 'Basic realm="staff", charset="UTF-8"'


# The difference itself, against a plain one that is slow.

def longest_common(a, b):
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if x == y else max(lengths[i][j + 1], lengths[i + 1][j])
    return lengths[-1][-1]


def test_diff_is_right_and_shortest(browser, tagway):
    import random
    rng = random.Random(7)
    page = Editor(browser, tagway)
    cases = [["", ""], ["", "a"], ["a", ""], ["a\nb", "a\nb"], ["a\n", "a"], ["\n", ""]]
    for _ in range(150):
        texts = ["\n".join(rng.choice("abcd") for _ in range(rng.randrange(12))) for _ in range(2)]
        cases.append(texts)
    cases.append(["\n".join(map(str, range(3000))), "\n".join(map(str, range(3000, 6000)))])  # beyond the limit
    results = page.browser.execute_async_script("""
        const [cases, done] = arguments;
        import("/assets/diff.js").then(({ diff }) => done(cases.map(([a, b]) =>
          diff(a, b).map((line) => [line.kind, line.text]))), (error) => done(String(error)));""", cases)
    for (a, b), script in zip(cases, results):
        split = lambda text: text.removesuffix("\n").split("\n") if text else []
        assert [text for kind, text in script if kind != "+"] == split(a)
        assert [text for kind, text in script if kind != "-"] == split(b)
        if len(a) < 100:
            assert sum(kind == " " for kind, _ in script) == longest_common(split(a), split(b)), (a, b, json.dumps(script))


def test_two_thousand_lines_stay_usable(browser, tagway, consul):
    text = "\n".join(f"# line {number}" for number in range(5000))
    consul.kv_put("fabio/config/long", text)
    try:
        page = Editor(browser, tagway, "/long")
        page.wait_for("the text", lambda: page.value == text)
        page.field.send_keys(Keys.CONTROL, Keys.END)
        page.field.send_keys("\nwrong")
        page.syntax("0 commands, 1 wrong line")
        page.press("#save")
        page.dialog()
        assert page.diff()[0] == "= 4,997 unchanged lines" and page.diff()[-1] == "+wrong"
        page.choose("cancel")
    finally:
        consul.kv_delete("fabio/config/long")
