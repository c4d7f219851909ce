"""The web page in a real browser: what a person does with streams."""

from testbed.rtsp_server import RtspServer
from tests.service.page.conftest import Page

DRAWN = """(() => { const c = document.getElementById('picture'), d = c.getContext('2d')
    .getImageData(0, 0, c.width, c.height).data; return d.some((v) => v > 200); })()"""


def test_person_adds_a_camera_watches_it_and_removes_it(page: Page, camera: RtspServer) -> None:
    page.open()
    page.wait_shown("empty")
    page.browser.press("a")
    page.wait("document.getElementById('stream-dialog').open")
    page.browser.type("http://camera.example/")
    page.browser.press("Enter")
    page.wait_text("p-url", "http:// is not allowed here")
    assert page.browser.value("document.activeElement.name") == "url"
    assert page.browser.value("document.activeElement.getAttribute('aria-invalid')") == "true"
    page.fill("#f-url", camera.url())
    page.fill("#f-name", "Front door")
    page.browser.press("Enter")

    page.wait("!document.getElementById('stream-dialog').open")
    page.wait_text("people", "3")
    page.wait_text("stream-name", "Front door")
    page.wait("['● Running', '▲ Degraded'].includes(document.getElementById('state').textContent)")
    page.wait_text("kind-text", "teacher")
    page.wait_text("kind-text", "student")
    page.wait(DRAWN)
    page.wait("document.getElementById('rate').textContent > 0")
    page.wait("document.getElementById('kept-chart').ariaLabel.includes('lowest')")

    page.click("remove")
    page.wait("document.getElementById('remove-dialog').open")
    page.browser.value("document.querySelector('#remove-dialog .danger').click()")
    page.wait_shown("empty")
    with page.service.http as http:
        assert http.get("/streams").json()["streams"] == []


def test_leap_leaves_no_line_across_the_picture(page: Page) -> None:
    page.open()
    feet = page.browser.value("""(async () => {
        const { Trails } = await import('/static/trails.js');
        const trails = new Trails();
        const lefts = [100, 110, 120, 900, 910];
        const messages = lefts.map((left, n) => (
            { seq: n + 1, ts_capture: n / 25, tracks: [{ id: 1, bbox: [left, 0, left + 40, 120] }] }));
        messages.forEach((message) => trails.add(message));
        return trails.upTo(messages.at(-1), 1).map(({ x }) => x);
    })()""")
    assert feet == [920, 930]


def test_drawn_scene_is_one_click_away(page: Page) -> None:
    page.open()
    page.wait_shown("empty")
    page.click("empty-scene")
    page.wait_shown("watch")  # the only stream there is is shown large at once
    page.wait_text("stream-name", "Drawn scene")
    page.wait("/^1280 . 720$/.test(document.getElementById('size').textContent)")


def test_person_edits_a_stream_and_its_secrets_are_never_shown(page: Page, locked_camera: RtspServer) -> None:
    with page.service.http as http:
        body = {"id": "door", "url": locked_camera.url(), "credentials": {"username": "viewer", "password": "wrong"}}
        http.post("/streams", json=body)
    page.open("#/door")
    page.wait_text("notice", "The camera asks for a user name and a password, and was given none or wrong ones.")
    page.click("edit")
    page.fill("#f-name", "Back door")
    page.fill("#f-note", "Where parcels come")
    page.fill("#f-user", "viewer")
    page.fill("#f-password", "correct horse")
    page.browser.press("Enter")
    page.wait_text("people", "3")
    page.wait_text("stream-name", "Back door")
    page.wait_text("stream-note", "Where parcels come")
    assert page.stream()["url"] == page.text("stream-url")
    assert "correct horse" not in page.browser.value("document.documentElement.outerHTML")
    page.click("edit")
    assert page.browser.value("document.getElementById('f-password').value") == ""


def test_k_and_mode_are_changed_and_shown_as_they_are_in_force(watched: Page) -> None:
    watched.wait_text("in-force", "In force: every 4 frames, AttTrack")
    watched.browser.value("document.getElementById('k').focus()")
    for _ in range(2):
        watched.browser.press("ArrowRight")
    assert watched.text("k-asked") == "every 6 frames"
    watched.wait_text("in-force", "In force: every 6 frames")
    assert watched.stream()["k"] == 6
    watched.run("const m = document.getElementById('mode'); m.value = 'teacher'; m.dispatchEvent(new Event('change'))")
    watched.wait_text("in-force", "Teacher on every frame")
    assert watched.stream()["mode"] == "teacher"
    assert watched.text("k-asked") == "has no effect: the teacher sees every frame"


def test_student_may_look_less_often_and_predicted_frames_are_told(watched: Page) -> None:
    assert watched.text("student-asked") == "every frame"
    watched.run("const s = document.getElementById('student'); s.value = 2; s.dispatchEvent(new Event('change'))")
    watched.wait_text("student-asked", "every 2 frames")
    watched.wait_text("kind-text", "predicted")
    assert watched.stream()["student_every"] == 2
    watched.run("const s = document.getElementById('student'); s.value = 9; s.dispatchEvent(new Event('change'))")
    watched.wait_text("student-asked", "never: boxes are predicted")


def test_adaptive_schedule_has_a_quality_in_place_of_periods(watched: Page) -> None:
    """The service's answers are completed here, so that the page is held to it on any schedule."""
    sent = watched.run("""const real = window.fetch, sent = []; let schedule = 'fixed', quality = 0.6;
        window.fetch = async (path, options = {}) => {
            if (options.method === 'PATCH') {
                const body = JSON.parse(options.body); sent.push(body);
                schedule = body.schedule ?? schedule; quality = body.quality ?? quality;
                return new Response('{}');
            }
            const answer = await real(path, options);
            if (path !== 'streams') return answer;
            const { streams } = await answer.json();
            return new Response(JSON.stringify({ streams: streams.map((one) => ({ ...one, schedule, quality })) }));
        };
        const at = (id) => document.getElementById(id), soon = () => new Promise((later) => setTimeout(later, 1500));
        await soon();
        const seen = () => ['schedule', 'quality', 'k'].map((id) => at(id).checkVisibility());
        const before = seen();
        at('schedule').value = 'adaptive'; at('schedule').dispatchEvent(new Event('change'));
        await soon();
        const after = seen();
        at('quality').value = 1; at('quality').dispatchEvent(new Event('change'));
        await soon();
        return [before, after, sent, at('quality-asked').textContent];""")
    assert sent[0] == [True, False, True]
    assert sent[1] == [True, True, False]
    assert sent[2] == [{"schedule": "adaptive"}, {"quality": 1}]
    assert sent[3] == "100 %, teacher always"


def test_refused_change_is_explained_and_taken_back(watched: Page) -> None:
    watched.run("""const { changeStream } = await import('./static/api.js');
        const m = document.getElementById('mode'); m.add(new Option('Magic', 'magic')); m.value = 'magic';
        m.dispatchEvent(new Event('change'))""")
    watched.wait_text("controls-problem", "mode")
    watched.wait("document.getElementById('mode').value === 'atttrack'")


def test_grid_shows_every_stream_live_and_leads_to_each(page: Page, camera: RtspServer) -> None:
    with page.service.http as http:
        for name in ("one", "two"):
            http.post(
                "/streams", json={"id": name, "name": f"<b>{name}</b>", "note": "The <i>hall</i>", "url": camera.url()}
            )
        http.post("/streams", json={"id": "dead", "url": "rtsp://127.0.0.1:9/nothing"})
    page.open()
    page.wait("document.querySelectorAll('#tiles .thumb img:not([hidden])').length === 2")
    page.wait("document.querySelector('#tiles li:nth-child(3) .state').textContent === '↻ Reconnecting'")
    page.wait(
        "document.querySelector('#tiles li:nth-child(3) .numbers').textContent === 'The camera cannot be reached.'"
    )
    assert page.browser.value("document.querySelector('#tiles .note').textContent") == "The <i>hall</i>"
    assert page.browser.value("getComputedStyle(document.querySelector('#tiles img')).objectFit") == "contain"
    first = page.browser.value("document.querySelector('#tiles img').src")
    page.wait(f"document.querySelector('#tiles img').src !== {first!r}")
    page.browser.value("document.querySelector('#tiles a').focus()")
    page.browser.press("Enter")
    page.wait_text("people", "3")
    assert page.browser.value("document.activeElement.id") == "stream-name"
    page.wait("document.querySelectorAll('#strip .tile').length === 3")
    page.browser.press("ArrowRight")
    page.wait_text("stream-name", "<b>two</b>")
    page.browser.press("Escape")
    page.wait_shown("overview")


def test_dead_camera_says_why_and_when_it_is_tried_again(page: Page) -> None:
    with page.service.http as http:
        http.post("/streams", json={"id": "dead", "name": "Dock", "url": "rtsp://127.0.0.1:9/nothing"})
    page.open("#/dead")
    page.wait("document.querySelector('.retry').textContent.startsWith('Attempt')")
    assert "↻ Reconnecting" in page.text("notice")
    assert "The camera cannot be reached." in page.text("notice")
    assert page.text("spoken") == "Dock: Reconnecting. The camera cannot be reached."
    page.wait(r"/Attempt \d+ (in \d+ s|now)\./.test(document.querySelector('.retry').textContent)")


def test_overloaded_stream_says_so_and_what_to_do(watched: Page) -> None:
    watched.run("""const real = window.fetch;
        const message = 'there was time for 3 of the 9 looks; lower `quality`, or run fewer streams';
        const state = { phase: 'degraded', since: 1, cause: 'overloaded', message, attempts: 0, next_retry: null };
        window.fetch = async (path, options) => {
            const answer = await real(path, options);
            if (path !== 'streams') return answer;
            const { streams } = await answer.json();
            return new Response(JSON.stringify({ streams: streams.map((one) => ({ ...one, state })) }));
        };""")
    watched.wait_text("state", "▲ Degraded")
    watched.wait_text("totals", "0 of 1 running · 1 degraded")
    watched.wait_text("cause", "This machine does not keep up. There was time for 3 of the 9 looks; lower `quality`")
    assert not watched.browser.value(
        "document.getElementById('notice').checkVisibility()"
    )  # the picture is still there


def test_service_that_went_away_is_said_and_found_again(watched: Page) -> None:
    watched.run(
        "const real = window.fetch; window.heal = () => (window.fetch = real);"
        "window.fetch = () => Promise.reject(new TypeError());"
    )
    watched.wait_text("service-problem", "The service does not answer. Trying again.")
    watched.run("window.heal()")
    watched.wait("!document.getElementById('service-problem').textContent")


def test_what_the_owner_should_know_stands_above_everything(watched: Page) -> None:
    watched.run("""const real = window.fetch;
        window.fetch = async (path, options) => path !== 'streams' || options?.method !== 'GET' ? real(path, options)
            : new Response(JSON.stringify({ ...await (await real(path, options)).json(), notice: 'make up' }));""")
    watched.wait_text("service-notice", "make up")


def test_key_that_may_only_read_is_told_so(watched: Page) -> None:
    watched.run("""const real = window.fetch;
        const said = JSON.stringify({ code: 'scope_too_small', detail: 'this needs scope write', status: 403 });
        window.fetch = (path, options = {}) => ['DELETE', 'POST'].includes(options.method)
            ? Promise.resolve(new Response(said, { status: 403 })) : real(path, options);""")
    watched.click("counts-reset")
    watched.wait_text("reset-problem", "scope write")
    watched.click("remove")
    watched.browser.value("document.querySelector('#remove-dialog .danger').click()")
    watched.wait_text("remove-problem", "scope write")
    assert watched.stream()["id"] == "door"


def test_what_the_service_is_still_busy_with_is_said(page: Page) -> None:
    page.service.runtime.readiness.report("building_engines", "building engines", 0.4)
    page.open()
    page.wait_text("starting", "The service is not ready yet: building engines 40%.")
    page.service.runtime.readiness.start()
    page.wait("!document.getElementById('starting').textContent")


def test_who_saw_a_box_shows_in_its_line_over_a_dark_edge(page: Page) -> None:
    page.open()
    lines = page.run("""const { Stage } = await import('./static/stage.js');
        const stage = new Stage(document.createElement('canvas')), lines = [], c = stage.context;
        c.stroke = () => lines.push([c.lineWidth, c.getLineDash().length, c.globalAlpha, c.strokeStyle]);
        for (const origin of ['teacher', 'student', 'predicted'])
            stage.drawBox({ id: 1, bbox: [0, 0, 9, 9], origin }, (x, y) => [x, y], 1);
        return lines;""")
    edges, boxes = lines[::2], lines[1::2]
    assert [line[:2] for line in boxes] == [[3.5, 0], [2, 0], [2, 2]]
    assert boxes[0][2] == boxes[1][2] == 1 > boxes[2][2] > 0.5
    assert [edge[0] - box[0] for edge, box in zip(edges, boxes, strict=True)] == [2.5] * 3
    assert {edge[3] for edge in edges} == {"rgba(8, 11, 16, 0.8)"}


def test_slider_that_is_dragged_fast_ends_where_it_was_let_go(watched: Page) -> None:
    """Answers come late and out of order, as over a slow line; the newest value must be the one that stays."""
    flying, most = watched.run("""
        const real = window.fetch; let flying = 0, most = 0, first = true;
        window.fetch = async (path, options = {}) => {
            if (options.method !== 'PATCH') return real(path, options);
            most = Math.max(most, ++flying);
            await new Promise((later) => setTimeout(later, first ? 600 : 50));
            first = false;
            const answer = await real(path, options);
            flying--;
            return answer;
        };
        const slider = document.getElementById('k');
        for (const k of [2, 9, 3, 12, 5]) {
            slider.value = k;
            slider.dispatchEvent(new Event('input'));
            slider.dispatchEvent(new Event('change'));
            await new Promise((later) => setTimeout(later, 60));
        }
        await new Promise((later) => setTimeout(later, 1500));
        return [flying, most];""")
    assert (flying, most) == (0, 1)
    assert watched.stream()["k"] == 5
    watched.wait_text("in-force", "In force: every 5 frames")


def test_refused_change_does_not_undo_a_newer_one_and_the_newest_refusal_is_told(page: Page) -> None:
    page.open()
    sent, told = page.run("""const { NewestWins } = await import('./static/newest-wins.js');
        const sent = [], told = [];
        const changes = new NewestWins(async (change) => {
            sent.push(change);
            await null;
            if (change.k > 100) throw new Error(`no ${change.k}`);
        });
        const send = (change) => changes.send(change).then(() => 'done', ({ message }) => message);
        told.push(...await Promise.all([send({ k: 200 }), send({ k: 3 }), send({ mode: 'naive' }), send({ k: 4 })]));
        told.push(await send({ k: 300 }), await send({ k: 5 }));
        return [sent, told];""")
    assert sent == [{"k": 200}, {"k": 4, "mode": "naive"}, {"k": 300}, {"k": 5}]
    assert told == ["done"] * 4 + ["no 300", "done"]


def test_hint_is_there_once_and_goes_for_good_by_a_click(watched: Page) -> None:
    watched.run("localStorage.clear()")
    watched.open("#/door")
    watched.wait_shown("hint")
    for word in ("Box and id", "Teacher", "Student", "Predicted"):
        assert word in watched.text("hint")
    watched.click("hint-close")
    watched.wait("!document.getElementById('hint').checkVisibility()")
    watched.open("#/door")
    watched.wait_text("people", "3")
    assert not watched.browser.value("document.getElementById('hint').checkVisibility()")


def test_identities_kept_are_those_of_the_keyframe_before(page: Page) -> None:
    page.open()
    kept = page.run("""const { Retention } = await import('./static/retention.js');
        const seen = (kind, epoch, ...ids) => ({ kind, epoch, tracks: ids.map((id) => ({ id })) });
        const r = new Retention(), out = [r.take()];
        r.add(seen('teacher', 1)); out.push(r.take());
        r.add(seen('teacher', 1, 1, 2, 3, 4)); out.push(r.take());
        r.add(seen('student', 1)); r.add(seen('teacher', 1, 1, 2, 3, 9)); out.push(r.take());
        r.add(seen('teacher', 2, 1, 2, 3)); out.push(r.take());
        r.add(seen('teacher', 2, 1, 2, 3)); r.add(seen('teacher', 2)); out.push(r.take());
        return out;""")
    assert kept == [None, None, None, 0.75, None, 0.5]


def test_page_and_documentation_need_no_other_host(page: Page) -> None:
    for path, ready in (
        ("", "document.getElementById('empty').checkVisibility()"),
        ("docs", "document.querySelector('.opblock')"),
    ):
        page.open(path)
        page.wait(ready, 30)
        loaded = page.browser.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert loaded
        assert all(url.startswith((page.origin, "data:")) for url in loaded)
