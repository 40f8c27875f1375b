// Charts, drawn by Chart.js in the page's own colours.

const page = {charts: [], zoomable: []};
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const palette = (i) => `--c${i % 8}`;

/** Gives a chart's (or its configuration's) datasets the theme's colours; they carry the names of theirs. */
function colourDatasets(chart) {
    for (const dataset of chart.data.datasets) {
        const own = colour(dataset.colourName);
        dataset.backgroundColor = own;
        dataset.borderColor = own;
    }
}

/** Gives a chart the colours of the theme. */
function paint(chart) {
    colourDatasets(chart);
    for (const scale of Object.values(chart.options.scales ?? {})) {
        scale.grid = {...scale.grid, color: colour("--line"), borderColor: colour("--line")};
        scale.ticks = {...scale.ticks, color: colour("--quiet")};
        if (scale.title) scale.title.color = colour("--quiet");
    }
    chart.options.plugins.legend.labels.color = colour("--ink");
    chart.update();
}

/** Adds a chart to a place; `label` is what a screen reader says. */
function addChart(place, label, config, tall = false) {
    const canvas = element("canvas", {role: "img", "aria-label": label});
    const box = element("div", {class: tall ? "chart tall" : "chart"}, canvas);
    place.append(box);
    config.options = {
        animation: false, responsive: true, maintainAspectRatio: false, ...config.options,
        plugins: {legend: {display: config.data.datasets.length > 1, labels: {boxWidth: 12}},
            ...config.options?.plugins},
    };
    colourDatasets(config);
    const chart = new Chart(canvas, config);
    page.charts.push(chart);
    paint(chart);
    return chart;
}

const axis = (title, options = {}) => ({title: {display: true, text: title}, ...options});

/** Horizontal stacked bars of shares; rows: {name, parts: {part: ps}}, whole: what 100 % is. */
function shareBars(place, label, rows, parts, whole) {
    addChart(place, label, {
        type: "bar",
        data: {
            labels: rows.map((row) => row.name),
            datasets: parts.map((part) => ({
                label: part.name, colourName: part.colour,
                data: rows.map((row) => 100 * (row.parts[part.key] ?? 0) / whole),
                times: rows.map((row) => row.parts[part.key] ?? 0),
            })),
        },
        options: {
            indexAxis: "y",
            scales: {x: axis("share of virtual time [%]", {stacked: true, min: 0, max: 100}), y: {stacked: true}},
            plugins: {tooltip: {callbacks: {label: (item) => `${item.dataset.label}: ` +
                `${durationText(item.dataset.times[item.dataIndex])} (${item.parsed.x.toFixed(2)} %)`}}},
        },
    }).canvas.parentElement.style.height = `${Math.max(11, 7 + 1.6 * rows.length)}rem`;
}

/** A histogram over a logarithmic axis; buckets: [upper end in ps, count]. */
function latencyHistogram(place, label, series) {
    const ends = [...new Set(series.flatMap((one) => one.buckets.map(([end]) => end)))].sort((a, b) => a - b);
    addChart(place, label, {
        type: "bar",
        data: {
            labels: ends.map((end) => `to ${durationText(end)}`),
            datasets: series.map((one, i) => {
                const counts = new Map(one.buckets);
                return {label: one.name, colourName: palette(i), data: ends.map((end) => counts.get(end) ?? 0),
                    categoryPercentage: 1, barPercentage: .95};
            }),
        },
        options: {scales: {x: axis("latency (virtual time)", {stacked: true, ticks: {maxTicksLimit: 16}}),
            y: axis("requests", {stacked: true, ticks: {precision: 0}})},
            interaction: {mode: "index"}},
    });
}

/** A chart over virtual time that can be zoomed, together with the others. */
function timeChart(place, label, datasets, y, stacked) {
    const chart = addChart(place, label, {
        type: "line",
        data: {datasets: datasets.map((one, i) => ({borderWidth: 1, pointRadius: 0, stepped: true,
            fill: stacked ? (i === 0 ? "origin" : "-1") : false, ...one}))},
        options: {
            parsing: false, normalized: true,
            interaction: {mode: "index", intersect: false},
            scales: {x: axis("virtual time [s]", {type: "linear", min: 0, max: data.end_ps / 1e12}), y: {...y, stacked}},
        },
    });
    page.zoomable.push(chart);
    selectToZoom(chart);
    return chart;
}

function zoomTo(from, to) {
    const end = data.end_ps / 1e12, least = Math.min(end, 2 * data.bin_ps / 1e12);
    from = Math.max(0, from); to = Math.min(end, to);
    if (to - from < least) { const middle = (from + to) / 2; from = Math.max(0, middle - least / 2); to = Math.min(end, from + least); }
    for (const chart of page.zoomable) {
        chart.options.scales.x.min = from;
        chart.options.scales.x.max = to;
        chart.update("none");
    }
    const shown = document.getElementById("range");
    if (shown) shown.textContent = `${from.toFixed(6)} s to ${to.toFixed(6)} s`;
}

/** Dragging over a chart zooms into what was dragged over; a double click shows all. */
function selectToZoom(chart) {
    const canvas = chart.canvas, box = canvas.parentElement;
    const band = element("div", {class: "selection"});
    box.append(band);
    let start = null;
    const x = (event) => event.clientX - canvas.getBoundingClientRect().left;
    canvas.addEventListener("pointerdown", (event) => { start = x(event); canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
        if (start === null) return;
        const now = x(event);
        Object.assign(band.style, {display: "block", left: `${Math.min(start, now)}px`, width: `${Math.abs(now - start)}px`});
    });
    canvas.addEventListener("pointerup", (event) => {
        if (start === null) return;
        const scale = chart.scales.x, now = x(event);
        band.style.display = "none";
        if (Math.abs(now - start) > 5)
            zoomTo(scale.getValueForPixel(Math.min(start, now)), scale.getValueForPixel(Math.max(start, now)));
        start = null;
    });
    canvas.addEventListener("dblclick", () => zoomTo(0, data.end_ps / 1e12));
}
