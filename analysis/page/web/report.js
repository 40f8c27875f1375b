// The sections of a run's page, from the data that hvsim has put into it (docs/report.md).

const data = JSON.parse(document.getElementById("data").textContent);
const result = data.result;

function head() {
    document.title = `${data.scenario} - hvsim run`;
    document.getElementById("title").textContent = data.scenario;
    const verdict = document.getElementById("verdict");
    if (!result) {
        verdict.append(element("span", {class: "unmet"}, "The run did not come to its end: "),
            "its trace has no report; tables and statistics are missing, charts go as far as the trace.");
        return;
    }
    verdict.append(element("span", {class: result.result.met ? "met" : "unmet"},
        result.result.met ? "Expectations met" : "Expectations not met"), `, end: ${result.result.end}.`);
    for (const sentence of result.result.unmet) verdict.append(element("br"), sentence);
    if (data.warning) verdict.append(element("br"), data.warning);
}

function summary() {
    const place = section("summary", "Summary");
    const facts = element("dl", {class: "facts"});
    const fact = (name, value, kind) => facts.append(element("div", {},
        element("dt", {}, name), element("dd", kind ? {class: kind} : {}, value)));
    fact("Virtual time", secondsText(data.end_ps));
    if (result) {
        fact("Wall time", `${(result.host.wall_ns / 1e9).toFixed(2)} s, ` +
            `${(result.host.wall_ns * 1e3 / Math.max(1, data.end_ps)).toFixed(1)} times as long`);
        fact("Instructions", grouped(result.instructions));
        fact("Speed", `${grouped(result.instructions * 1e3 / Math.max(1, result.host.wall_ns))} million instructions/s`);
        fact("Quantum", durationText(result.time.quantum_ps));
        fact("Latest timer", durationText(result.time.greatest_overshoot_ps));
        for (const [name, value] of Object.entries(result.machine)) fact(name, value);
        fact("Program", `hvsim ${result.program_version}`);
        for (const [name, value] of Object.entries(result.host.versions)) fact(name, value);
        fact("Digest", result.digest, "digest");
    }
    fact("Events in the trace", grouped(data.events));
    place.append(facts);
}

function timeByProcessor() {
    if (data.vps.length === 0) return;
    const place = section("time", "Where virtual time went",
        "Each bar is one virtual processor from the start of the run to its end. Guest: its own code ran (for the " +
        "root partition: its software's work). The named parts are the hypervisor's work on exits of that reason. " +
        "Waiting: it could run, but another one had the processor. Idle: it had nothing to do.");
    const sums = new Map();
    for (const vp of data.vps) for (const [reason, ps] of vp.reasons) sums.set(reason, (sums.get(reason) ?? 0) + ps);
    const named = [...sums].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([reason]) => reason);
    const parts = [{key: "guest", name: "guest", colour: "--c0"},
        ...named.map((reason, i) => ({key: `exit ${reason}`, name: `exit: ${reason}`, colour: palette(i + 1)})),
        {key: "other", name: "other exits", colour: "--c7"},
        {key: "waiting", name: "waiting", colour: "--wait"}, {key: "idle", name: "idle", colour: "--idle"}];
    const rows = data.vps.map((vp) => {
        const row = {name: vp.name, parts: {guest: vp.guest, waiting: vp.waited, other: 0}};
        let used = vp.guest + vp.waited;
        for (const [reason, ps] of vp.reasons) {
            const key = named.includes(reason) ? `exit ${reason}` : "other";
            row.parts[key] = (row.parts[key] ?? 0) + ps;
            used += ps;
        }
        row.parts.idle = Math.max(0, data.end_ps - used);
        return row;
    });
    shareBars(place, "Shares of virtual time by virtual processor", rows, parts, data.end_ps);
    const columns = [{title: "virtual processor", unit: "text"}, ...parts.map((part) => ({title: part.name, unit: "ps"}))];
    place.append(element("details", {}, element("summary", {}, "The same in numbers"),
        sortableTable(columns, rows.map((row) => [row.name, ...parts.map((part) => row.parts[part.key] ?? 0)]))));
}

function overview() {
    if (data.lps.length === 0) return;
    const place = section("overview", "The whole run",
        `Drag over a chart to zoom in, double-click to see all again. A point stands for ${durationText(data.bin_ps)}. ` +
        "Above: what the chosen logical processor did. Below: what happened meanwhile on the whole machine.");
    const seconds = (values, scale) => values.map((value, i) => ({x: i * data.bin_ps / 1e12, y: value * scale}));
    const tools = element("div", {class: "tools"});
    place.append(tools);
    const chosen = element("select", {id: "processor"}, ...data.lps.map((lp, i) =>
        element("option", {value: i}, `logical processor ${lp.lp}`)));
    const modes = [["guest", "guest", "--c0"], ["hypervisor", "hypervisor", "--c1"],
        ["switching", "switching", "--c3"], ["idle", "idle", "--idle"]];
    const modeSets = (lp) => modes.map(([key, label, colourName]) =>
        ({label, colourName, data: seconds(lp[key], .1)}));
    const above = timeChart(place, "Modes of a logical processor over time", modeSets(data.lps[0]),
        axis("share of time [%]", {min: 0, max: 100}), true);
    chosen.addEventListener("change", () => {
        modeSets(data.lps[Number(chosen.value)]).forEach((set, i) => { above.data.datasets[i].data = set.data; });
        above.update("none");
    });
    const metric = element("select", {id: "metric"}, ...data.rates.map((rate, i) =>
        element("option", {value: i}, rate.name)));
    const rateSet = (i) => ({label: data.rates[i].name, colourName: "--c2",
        data: seconds(data.rates[i].values, data.rates[i].scale)});
    const below = timeChart(place, "A rate over time", [rateSet(0)], axis(data.rates[0].unit, {min: 0}), false);
    metric.addEventListener("change", () => {
        const i = Number(metric.value);
        below.data.datasets[0].data = rateSet(i).data;
        below.data.datasets[0].label = data.rates[i].name;
        below.options.scales.y.title.text = data.rates[i].unit;
        below.update("none");
    });
    const all = element("button", {type: "button"}, "Show all");
    const nearer = element("button", {type: "button"}, "Zoom in");
    const farther = element("button", {type: "button"}, "Zoom out");
    const scaled = (factor) => {
        const {min, max} = above.options.scales.x, middle = (min + max) / 2, half = (max - min) / 2 * factor;
        zoomTo(middle - half, middle + half);
    };
    all.addEventListener("click", () => zoomTo(0, data.end_ps / 1e12));
    nearer.addEventListener("click", () => scaled(.5));
    farther.addEventListener("click", () => scaled(2));
    tools.append(element("label", {}, "Processor: ", chosen), element("label", {}, "Below: ", metric),
        nearer, farther, all, element("span", {id: "range"}));
    zoomTo(0, data.end_ps / 1e12);
}

const shortened = (text) => text.length > 36 ? `${text.slice(0, 35)}\u2026` : text;

function phases() {
    if (data.phases.length === 0) return;
    const place = section("phases", "Phases",
        "From a line on the console that marks a beginning to the next such line. Each bar stands where its phase " +
        "lies in the run.");
    const chart = addChart(place, "Phases of the run", {
        type: "bar",
        data: {labels: data.phases.map((phase) => phase.name), datasets: [{label: "phase", colourName: "--c2",
            data: data.phases.map((phase) => [phase.begin / 1e12, phase.end / 1e12])}]},
        options: {indexAxis: "y", scales: {x: axis("virtual time [s]", {min: 0}),
            y: {ticks: {callback: (i) => shortened(data.phases[i].name)}}},
            plugins: {tooltip: {callbacks: {label: (item) => {
                const phase = data.phases[item.dataIndex];
                return `${secondsText(phase.begin)} to ${secondsText(phase.end)}: ${durationText(phase.end - phase.begin)}`;
            }}}}},
    });
    chart.canvas.parentElement.style.height = `${Math.max(9, 5 + 1.6 * data.phases.length)}rem`;
    place.append(element("details", {}, element("summary", {}, "The same in numbers"), sortableTable(
        [{title: "phase", unit: "text"}, {title: "begins", unit: "ps"}, {title: "takes", unit: "ps"}],
        data.phases.map((phase) => [phase.name, phase.begin, phase.end - phase.begin]))));
}

const percentileColumns = ["least", "p50", "p90", "p99", "greatest", "mean"];
const percentiles = (p) => percentileColumns.map((key) => p[key]);
const percentileTitles = percentileColumns.map((title) => ({title: title === "p50" ? "median" : title, unit: "ps"}));

function requests() {
    if (data.operations.length === 0) return;
    const place = section("requests", "Disk requests",
        "How long the guest's SCSI requests took, from the signal that announced them to the interrupt that told of " +
        "the answer. Towards the right they are slower; the axis is logarithmic.");
    latencyHistogram(place, "Latency of SCSI requests", data.operations);
    place.append(sortableTable([{title: "operation", unit: "text"}, {title: "count", unit: "count"}, ...percentileTitles],
        data.operations.map((one) => [one.name, one.total.count, ...percentiles(one.total)])));
    place.append(element("h3", {}, "Stages"), element("p", {class: "how"},
        "The mean time that each stage of the way takes: until the root partition looks at the channel, in the ring, " +
        "in the storage provider, at the disk, and from the answer in the ring until the guest takes its interrupt. " +
        "A stage that a request did not have (an answer that needs no interrupt) counts for nothing there."));
    addChart(place, "Mean duration of each stage by operation", {
        type: "bar",
        data: {labels: data.operations.map((one) => one.name), datasets: data.stages.map((stage, i) => ({
            label: stage, colourName: palette(i),
            data: data.operations.map((one) => one.stages[i].mean * one.stages[i].count / Math.max(1, one.total.count) / 1e6),
        }))},
        options: {indexAxis: "y", scales: {x: axis("mean time [us]", {stacked: true}), y: {stacked: true}}},
    });
    const rows = data.operations.flatMap((one) => data.stages.map((stage, i) =>
        [one.name, stage, one.stages[i].count, ...percentiles(one.stages[i])])).filter((row) => row[2] > 0);
    place.append(element("details", {}, element("summary", {}, "Every stage in numbers"), sortableTable(
        [{title: "operation", unit: "text"}, {title: "stage", unit: "text"}, {title: "count", unit: "count"},
            ...percentileTitles], rows)));
    place.append(element("h3", {}, "The slowest requests"), element("p", {class: "how"},
        "With their stages; the transaction is the number to look for with hvsim trace."));
    place.append(sortableTable([{title: "operation", unit: "text"}, {title: "transaction", unit: "text"},
        {title: "begins", unit: "text"}, {title: "block", unit: "count"}, {title: "size", unit: "bytes"},
        {title: "takes", unit: "ps"}, ...data.stages.map((title) => ({title, unit: "ps"}))],
        data.slowest.map((one) => [one.operation, one.transaction, secondsText(one.begin), one.lba, one.bytes,
            one.total, ...one.stages])));
}

function interrupts() {
    const there = data.latencies.filter((one) => one.total.count > 0);
    if (there.length === 0) return;
    const place = section("interrupts", "Interrupt latency",
        "From the moment at which something asks for attention until the interrupt is taken: a device's message at " +
        "the host's local APICs until a processor acknowledges it; a SynIC message or event until the interrupt is " +
        "injected; a synthetic timer until its interrupt is. Interrupts wait while the guest has them switched off.");
    latencyHistogram(place, "Interrupt latency", there);
    place.append(sortableTable([{title: "from, to", unit: "text"}, {title: "count", unit: "count"}, ...percentileTitles],
        there.map((one) => [one.name, one.total.count, ...percentiles(one.total)])));
}

function tables() {
    if (!result) return;
    const place = section("tables", "Exits, hypercalls, messages, interrupts",
        "Counted over the whole run; a click on a heading sorts by that column.");
    for (const table of data.tables)
        place.append(element("h3", {}, table.title), sortableTable(
            [{title: table.name_title, unit: "text"}, ...table.columns], table.rows));
}

function statistics() {
    if (!result) return;
    const place = section("statistics", "Statistics",
        "The models' own counters, those of page walks, TLBs and the IOMMU among them. Those that are zero are left out.");
    const filter = element("input", {type: "search", placeholder: "iommu, tlb, storvsp ...", "aria-label": "Filter by name"});
    const rows = result.statistics.filter((one) => one.value !== 0);
    const holder = element("div");
    const fill = () => {
        const words = filter.value.toLowerCase();
        holder.replaceChildren(sortableTable([{title: "name", unit: "text"}, {title: "value", unit: "text"},
            {title: "meaning", unit: "text"}], rows.filter((one) => `${one.name} ${one.description}`.toLowerCase().includes(words))
            .map((one) => [one.name, valueText(one.value, one.unit), one.description])));
    };
    filter.addEventListener("input", fill);
    fill();
    place.append(element("div", {class: "tools"}, element("label", {}, "Filter: ", filter)), holder);
}

function translation() {
    const hits = data.hit_rates.filter((one) => one.hits + one.misses > 0);
    if (hits.length === 0) return;
    const place = section("translation", "Page walks, TLB and IOMMU",
        "How many translations were found in a cache (hit) and how many had to be looked up in tables in memory (miss).");
    shareBarsOfHits(place, hits);
    place.append(sortableTable([{title: "cache", unit: "text"}, {title: "hits", unit: "count"},
        {title: "misses", unit: "count"}, {title: "hit rate", unit: "text"}],
        hits.map((one) => [one.name, one.hits, one.misses, percentText(one.hits, one.hits + one.misses)])));
    place.append(element("h3", {}, "Counters"), sortableTable([{title: "name", unit: "text"}, {title: "value", unit: "text"},
        {title: "meaning", unit: "text"}], data.translation.map((one) => [one.name, valueText(one.value, one.unit), one.description])));
}

function shareBarsOfHits(place, hits) {
    const chart = addChart(place, "Hits and misses of translation caches", {
        type: "bar",
        data: {labels: hits.map((one) => one.name), datasets: [["hits", "--c0"], ["misses", "--c1"]].map(([key, colourName]) =>
            ({label: key, colourName, data: hits.map((one) => 100 * one[key] / (one.hits + one.misses))}))},
        options: {indexAxis: "y", scales: {x: axis("share of look-ups [%]", {stacked: true, min: 0, max: 100}), y: {stacked: true}}},
    });
    chart.canvas.parentElement.style.height = `${7 + 1.6 * hits.length}rem`;
}

function consoles() {
    if (data.console.length === 0) return;
    const place = section("console", "Console", "What was printed, with the virtual time of each line's first byte.");
    const left = data.console_left_out > 0 ? `\n... and ${grouped(data.console_left_out)} more lines` : "";
    const many = new Set(data.console.map(([, who]) => who)).size > 1;
    place.append(element("details", {}, element("summary", {}, `${grouped(data.console.length)} lines`), element("pre", {},
        data.console.map(([time, who, text]) => `${secondsText(time)}  ${many ? `${who}: ` : ""}${text}`).join("\n") + left)));
}

function scenario() {
    if (!result) return;
    const place = section("scenario", "Scenario", "The file that was run, and what the command line replaced in it.");
    for (const setting of result.settings) place.append(element("p", {}, element("code", {}, `--set ${setting}`)));
    place.append(element("pre", {}, result.scenario_text));
}

function theme() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const set = (name) => {
        document.documentElement.dataset.theme = name;
        page.charts.forEach(paint);
    };
    const button = element("button", {type: "button", id: "theme"}, "Light or dark");
    button.addEventListener("click", () => set(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
    dark.addEventListener("change", () => set(dark.matches ? "dark" : "light"));
    document.documentElement.dataset.theme = dark.matches ? "dark" : "light";
    document.getElementById("contents").append(button);
}

document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
head();
for (const part of [summary, timeByProcessor, overview, phases, requests, interrupts, tables, translation,
    statistics, consoles, scenario, theme]) part();
page.charts.forEach(paint);
document.getElementById("footer").textContent =
    `Written by hvsim ${data.program_version}. Charts: Chart.js ${Chart.version} (MIT licence).`;
document.documentElement.dataset.ready = "yes";
