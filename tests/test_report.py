"""The delivery report, in a browser: what it shows is what the warehouse contains."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("altair", reason="needs the extra report")
dbt_runs = pytest.importorskip("tests.dbt_runs", reason="needs the dependency groups dlt and pipeline")
if not dbt_runs.DBT.exists():
    pytest.skip("needs the environment .clients/dbt, which make creates", allow_module_level=True)

from msghistory_report.__main__ import main  # noqa: E402
from msghistory_report.formats import MISSING  # noqa: E402
from msghistory_report.queries import MIN_MESSAGES  # noqa: E402
from msghistory_report.sections import SECTIONS  # noqa: E402
from msghistory_sandbox.clock import Clock  # noqa: E402
from msghistory_sandbox.server import Sandbox  # noqa: E402
from tests.dbt_runs import DuckDBModels  # noqa: E402
from tests.processes import environment  # noqa: E402
from tests.support import ROOT, config, iso  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NO_CHROMIUM = "needs Chromium on the PATH (Debian: apt-get install chromium)"
PHONE = {"width": 390, "height": 844}
HOSTILE = (
    "\x01\N{GRINNING FACE}]]></title></svg></script><img src='http://x.example' onerror='document.title=1'>"
)
TEXT_CONTRAST, GRAPHICS_CONTRAST = 4.5, 3.0
"""Minimum ratios of the Web Content Accessibility Guidelines, level AA."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> DuckDBModels:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    yesterday = now - timedelta(days=1)
    end_ms = round(now.timestamp() * 1000)
    clock = Clock(end_ms - 86_400_000, frozen=True)
    models = DuckDBModels.of(tmp_path_factory.mktemp("report"))
    models.variables = {"msghistory_status_history": True}
    sandbox = Sandbox.generate(messages=6_000, days=40, end_ms=end_ms, clock=clock)
    with sandbox.serve():
        for end in (yesterday, now):
            models.load(config(sandbox, start_date=iso(now - timedelta(days=41)), end_date=iso(end)))
            models.build()
            clock.advance(86_400)
    return models


def make_from(models: DuckDBModels, output: Path, *options: str) -> Path:
    dsn = f"duckdb:///{models.file}"
    assert main(["--dsn", dsn, "--schema", models.schema, "--output", str(output), *options]) == 0
    return output


@pytest.fixture(scope="module")
def page_file(models: DuckDBModels) -> Path:
    return make_from(models, models.directory / "report.html")


@dataclass
class Opened:
    """A page in a browser, and what it has requested and logged."""

    page: Any
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def table(self, section: str) -> list[list[str]]:
        """Return the cells of a section's table."""
        script = (
            "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))"
        )
        found: list[list[str]] = self.page.eval_on_selector(f"#{section} table", script)
        return found

    def figures(self) -> dict[str, str]:
        """Return the key figures by label."""
        script = "all => all.map(item => [...item.children].map(child => child.firstChild.textContent))"
        return dict(self.page.eval_on_selector_all(".figures > div", script))

    def colours(self) -> dict[str, str]:
        """Return the page's colours by CSS variable."""
        names = sorted(
            set(re.findall(r"(--[a-z0-9-]+):", (ROOT / "msghistory_report" / "page.css").read_text()))
        )
        script = (
            "names => names.map(name => getComputedStyle(document.documentElement).getPropertyValue(name))"
        )
        return dict(zip(names, self.page.evaluate(script, names), strict=True))


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def opened() -> Iterator[Open]:
    if not CHROMIUM:
        pytest.skip(NO_CHROMIUM)
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the dependency group browser")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def open_(file: Path, **options: Any) -> Opened:
            tab = Opened(browser.new_context(**options).new_page())
            tab.page.on("request", lambda request: tab.requests.append(request.url))
            tab.page.on("console", lambda message: tab.console.append(message.text))
            tab.page.on("pageerror", lambda error: tab.console.append(str(error)))
            tab.page.goto(file.as_uri())
            return tab

        yield open_
        browser.close()


@pytest.fixture(scope="module")
def page(opened: Open, page_file: Path) -> Opened:
    return opened(page_file)


def sql(models: DuckDBModels, query: str) -> list[list[Any]]:
    return [[*row.values()] for row in models.rows(query)]


def test_every_chart_is_drawn(page):
    for section in SECTIONS:
        drawing = page.page.locator(f"#{section.id} .chart svg")
        assert drawing.bounding_box()["width"] > 600
        marks = drawing.locator(".mark-rect path, .mark-line path, .mark-symbol path")
        assert marks.count() > 1
        assert drawing.get_attribute("aria-label").startswith(section.title)


def test_the_page_needs_no_network_and_logs_no_error(page, page_file):
    assert page.requests == [page_file.as_uri()]
    assert page.console == []
    assert page.page.locator("script").count() == 0
    assert page_file.stat().st_size < 3_000_000


def test_the_volume_is_the_number_of_messages_per_day(page, models):
    expected = sql(
        models,
        "SELECT CAST(CAST(sent_at AS date) AS text), channel, format('{:,}', count(*)) FROM marts.messages "
        "WHERE direction = 'outgoing' GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert page.table("volume") == expected


def test_delivery_rates_count_messages_with_an_outcome(page, models):
    expected = sql(
        models,
        """
        SELECT CAST(CAST(sent_at AS date) AS text), channel, sum((status IN ('delivered', 'read'))::int),
               sum((status IN ('undelivered', 'expired', 'invalid'))::int)
        FROM marts.messages
        WHERE direction = 'outgoing' AND status NOT IN ('accepted', 'sent', 'unknown')
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
    )
    assert page.table("delivery-rate") == [
        [day, channel, str(delivered), str(failed), f"{delivered / (delivered + failed):.1%}", of_week]
        for (day, channel, delivered, failed), of_week in zip(expected, weekly_rates(expected), strict=True)
    ]


def weekly_rates(days: list[list[Any]]) -> list[str]:
    """Return the rates of the channel's last seven days, from rows of day, channel, delivered and failed."""
    rates = []
    for day, channel, _, _ in days:
        first = (date.fromisoformat(day) - timedelta(days=6)).isoformat()
        week = [row for row in days if row[1] == channel and first <= row[0] <= day]
        delivered, failed = sum(row[2] for row in week), sum(row[3] for row in week)
        enough = delivered + failed >= MIN_MESSAGES
        rates.append(f"{delivered / (delivered + failed):.1%}" if enough else MISSING)
    return rates


def test_times_to_delivery_add_up_to_the_deliveries(page, models):
    expected = dict(
        sql(
            models,
            "SELECT channel, count(*) FROM marts.messages "
            "WHERE direction = 'outgoing' AND seconds_to_delivery IS NOT NULL GROUP BY 1",
        )
    )
    found = dict.fromkeys(expected, 0)
    for channel, _, _, messages, _ in page.table("delivery-time"):
        found[channel] += int(messages.replace(",", ""))
    assert found == expected
    ((share,),) = sql(
        models,
        "SELECT avg((seconds_to_delivery <= 60)::int) FROM marts.messages "
        "WHERE direction = 'outgoing' AND channel = 'SMS' AND seconds_to_delivery IS NOT NULL",
    )
    assert f"SMS {share:.1%}" in page.page.inner_text("#delivery-time .summary")


def test_statuses_add_up_to_the_outgoing_messages(page, models):
    expected = dict(
        sql(models, "SELECT status, count(*) FROM marts.messages WHERE direction = 'outgoing' GROUP BY 1")
    )
    found: dict[str, int] = dict.fromkeys(expected, 0)
    for _, status, messages in page.table("statuses"):
        found[status] += int(messages.replace(",", ""))
    assert found == expected
    assert len({age for age, _, _ in page.table("statuses")}) > 3


def test_revisits_are_shown_with_what_they_caught(page, models):
    ((changes,),) = sql(models, "SELECT count(*) FROM marts.status_changes")
    assert changes > 0
    assert sum(int(row[-1]) for row in page.table("changes")) == changes
    assert f"Later syncs saw {changes} status changes" in page.page.inner_text("#changes .summary")


def test_costs_and_key_figures_agree_with_sql(page, models):
    ((sent, cost, median),) = sql(
        models,
        "SELECT count(*), sum(cost), median(seconds_to_delivery) "
        "FROM marts.messages WHERE direction = 'outgoing'",
    )
    figures = page.figures()
    assert figures["Messages sent"] == f"{sent:,}"
    assert figures["Cost"] == f"{cost:,.2f}"
    assert figures["Missing messages"] == "0"
    assert float(figures["Median time to delivery"].removesuffix(" s")) == pytest.approx(median, rel=0.01)
    expected = sql(
        models,
        "SELECT CAST(CAST(sent_at AS date) AS text), sender, sum(cost) FROM marts.messages "
        "WHERE direction = 'outgoing' AND cost IS NOT NULL GROUP BY 1, 2",
    )
    assert sorted(page.table("cost")) == sorted(
        [day, sender or "(unknown)", f"{float(cost):,.2f}"] for day, sender, cost in expected
    )


def test_senders_that_fail_most_agree_with_sql(page, models):
    expected = sql(
        models,
        f"""
        SELECT sender, channel, count(*), sum((outcome = 'failed')::int),
               sum((outcome = 'failed')::int) / sum((outcome <> 'open')::int) AS rate
        FROM marts.messages WHERE direction = 'outgoing'
        GROUP BY 1, 2
        HAVING sum((outcome <> 'open')::int) >= {MIN_MESSAGES} AND sum((outcome = 'failed')::int) > 0
        """,
    )
    expected.sort(key=lambda row: (-row[-1], row[0] or "(unknown)", row[1]))
    assert page.table("failing-senders") == [
        [sender or "(unknown)", channel, f"{sent:,}", f"{failed:,}", f"{rate:.1%}"]
        for sender, channel, sent, failed, rate in expected[:15]
    ]


def test_missing_messages_are_shown(models, opened, tmp_path):
    damaged = copied(models, tmp_path)
    damaged.rows("UPDATE marts.daily_completeness SET missing = 7 WHERE stream = 'edna_history'")
    tab = opened(make_from(damaged, tmp_path / "report.html"))
    days = len([row for row in tab.table("completeness") if row[1] == "edna_history"])
    assert tab.figures()["Missing messages"] == f"{7 * days:,}"
    assert tab.page.locator(".figures .bad").count() == 1
    assert "missing from the warehouse" in tab.page.inner_text("#completeness .summary")


def test_names_from_the_warehouse_cannot_inject_markup(models, opened, tmp_path):
    hostile = copied(models, tmp_path)
    name = HOSTILE.replace("'", "''")
    hostile.rows(f"UPDATE marts.daily_deliverability SET sender = '{name}' WHERE sender = 'ACME'")
    tab = opened(make_from(hostile, tmp_path / "report.html"))
    assert HOSTILE in {row[1] for row in tab.table("cost")}
    assert "<img" in tab.page.text_content("#cost svg")
    assert tab.page.locator("img").count() == 0
    assert len(tab.requests) == 1
    assert tab.page.title().startswith("Message delivery")


def test_a_year_with_many_senders_fits_into_three_megabytes(models, tmp_path):
    large = copied(models, tmp_path)
    for mart, sender in (
        ("daily_deliverability", ", concat(sender, i) AS sender"),
        ("daily_completeness", ""),
    ):
        large.rows(
            f"INSERT INTO marts.{mart} BY NAME "
            f"SELECT {mart}.* REPLACE (CAST(day - i * 40 AS date) AS day{sender}) "
            f"FROM marts.{mart}, (SELECT CAST(range AS integer) AS i FROM range(1, 11)) AS copies"
        )
    page = make_from(large, tmp_path / "report.html", "--days", "366").read_text()
    assert "(others)" in page
    assert len(page) < 3_000_000


def copied(models: DuckDBModels, directory: Path) -> DuckDBModels:
    copy = DuckDBModels.of(directory)
    shutil.copy(models.file, copy.file)
    return copy


def test_tables_open_with_the_keyboard(opened, page_file):
    page = opened(page_file).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")  # to the first chart
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert not page.locator("#volume table").is_visible()
    page.keyboard.press("Enter")
    assert page.locator("#volume table").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_enough_contrast(opened, page_file, scheme):
    colours = opened(page_file, color_scheme=scheme).colours()
    assert (luminance(colours["--surface"]) < 0.1) == (scheme == "dark")
    for name, colour in colours.items():
        if name in {"--text", "--muted", "--accent"}:
            assert contrast(colour, colours["--surface"]) >= TEXT_CONTRAST, name
            assert contrast(colour, colours["--card"]) >= TEXT_CONTRAST, name
        elif name.startswith(("--channel", "--status", "--series", "--good", "--warning", "--bad")):
            assert contrast(colour, colours["--surface"]) >= GRAPHICS_CONTRAST, name
    assert contrast(colours["--on-bad"], colours["--bad"]) >= TEXT_CONTRAST


def luminance(colour: str) -> float:
    channels = [int(colour.strip()[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_a_phone_scrolls_charts_but_not_the_page(opened, page_file):
    page = opened(page_file, viewport=PHONE).page
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    chart = "document.querySelector('#volume .chart')"
    assert page.evaluate(f"{chart}.scrollWidth > {chart}.clientWidth")


def test_it_prints_in_light_colours_without_closed_tables(opened, page_file):
    tab = opened(page_file, color_scheme="dark")
    tab.page.emulate_media(media="print")
    assert luminance(tab.colours()["--surface"]) == 1
    assert not tab.page.locator("#volume details").is_visible()
    assert tab.page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ((), "--dsn or the environment variable MSGHISTORY_DSN"),
        (("--dsn", "mysql://host/database"), "--dsn must have the form postgresql://"),
        (("--dsn", "postgresql://u:canary@127.0.0.1:1/x"), "Connection refused"),
        (("--dsn", "postgresql://u:canary%zz@host/x"), "--dsn is not a valid URL"),
        (("--dsn", "postgresql://u:p@canary@127.0.0.1:1/x"), "must be percent-encoded"),
        (("--dsn", "postgresql://canary:pass/word@127.0.0.1:1/x"), "must be percent-encoded"),
        (("--dsn", "duckdb:////no/such/file"), "The file /no/such/file does not exist"),
        (("--dsn", "duckdb:///{file}", "--schema", "other"), "Run dbt build"),
        (
            ("--dsn", "duckdb:///{file}", "--schema", "marts", "--output", "/no/such/file"),
            "cannot be written",
        ),
    ],
)
def test_errors_are_one_line_with_advice(models, arguments, advice, monkeypatch, capsys):
    monkeypatch.delenv("MSGHISTORY_DSN", raising=False)
    assert main([argument.replace("{file}", str(models.file)) for argument in arguments]) == 1
    error = capsys.readouterr().err
    assert advice in error
    assert error.count("\n") == 1
    assert "canary" not in error


def test_a_missing_package_names_the_extra():
    program = "import sys; sys.modules['altair'] = None; from msghistory_report.__main__ import main; main()"
    finished = subprocess.run(
        [sys.executable, "-c", program, "--dsn", "duckdb:///x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stderr.endswith("pip install 'tap-msghistory[report]'\n")


def test_a_wrong_command_line_exits_with_2():
    with pytest.raises(SystemExit) as ended:
        main(["--days", "0"])
    assert ended.value.code == 2


def test_an_empty_warehouse_gives_a_page_without_charts(models, tmp_path):
    empty = copied(models, tmp_path)
    tables = models.rows("SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'marts'")
    for table in tables:
        empty.rows(f"DELETE FROM marts.{table['name']}")
    text = make_from(empty, tmp_path / "report.html").read_text()
    assert "<svg" not in text
    for section in SECTIONS:
        assert section.empty in text


def test_a_single_message_without_a_cost_gives_a_page(models, tmp_path):
    single = copied(models, tmp_path)
    single.rows(
        "DELETE FROM marts.messages WHERE message_key <> "
        "(SELECT min(message_key) FROM marts.messages WHERE outcome = 'delivered')"
    )
    single.rows("DELETE FROM marts.daily_deliverability")
    single.rows(
        "INSERT INTO marts.daily_deliverability BY NAME "
        "SELECT CAST(sent_at AS date) AS day, channel, sender, 1 AS sent, 1 AS delivered, "
        "0 AS failed, 0 AS open FROM marts.messages"
    )
    text = make_from(single, tmp_path / "report.html").read_text()
    assert "1 message on 1 day: " in text
    assert "The vendor reported no cost in this period." in text


def test_the_page_goes_to_stdout(models):
    finished = subprocess.run(
        [sys.executable, "-m", "msghistory_report", "--schema", models.schema, "--output", "-"],
        cwd=ROOT,
        env=environment(MSGHISTORY_DSN=f"duckdb:///{models.file}"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.startswith("<!DOCTYPE html>")
    assert finished.stdout.rstrip().endswith("</html>")
