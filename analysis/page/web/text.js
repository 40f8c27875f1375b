"use strict";
// Numbers as people read them, and small pieces of a page.

const grouped = (value) => Math.round(value).toLocaleString("en-US");

/** Picoseconds with a fitting unit and four digits: 12345678 -> "12.35 us". */
function durationText(ps) {
    for (const [unit, size] of [["s", 1e12], ["ms", 1e9], ["us", 1e6], ["ns", 1e3]])
        if (ps >= size) return `${(ps / size).toPrecision(4)} ${unit}`;
    return `${Math.round(ps)} ps`;
}

function sizeText(bytes) {
    for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]])
        if (bytes >= size) return `${(bytes / size).toPrecision(4)} ${unit}`;
    return `${Math.round(bytes)} B`;
}

function valueText(value, unit) {
    if (unit === "ps") return durationText(value);
    if (unit === "bytes") return sizeText(value);
    return unit === "count" || !unit ? grouped(value) : `${grouped(value)} ${unit}`;
}

const percentText = (part, whole) => whole > 0 ? `${(100 * part / whole).toFixed(1)} %` : "-";
const secondsText = (ps) => `${(ps / 1e12).toFixed(6)} s`;

/** An element with attributes and children; strings become text, never markup. */
function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
}

/** A section with a heading in the page's contents; `how` says how to read what is in it. */
function section(id, title, how) {
    const made = element("section", {id}, element("h2", {}, title));
    if (how) made.append(element("p", {class: "how"}, how));
    document.querySelector("main").append(made);
    document.getElementById("contents").append(element("a", {href: `#${id}`}, title));
    return made;
}

/**
 * A table that its headings sort. Columns: {title, unit} with unit "text" for words; rows: arrays of
 * raw values, a column each.
 */
function sortableTable(columns, rows) {
    const body = element("tbody");
    const fill = (sorted) => body.replaceChildren(...sorted.map((row) => element("tr", {}, ...row.map(
        (value, i) => element("td", columns[i].unit === "text" ? {class: "text"} : {},
            columns[i].unit === "text" ? String(value) : value === null ? "-" : valueText(value, columns[i].unit))))));
    const heads = columns.map((column, i) => {
        const head = element("th", {scope: "col", tabindex: "0", "aria-sort": "none"}, column.title);
        const sort = () => {
            const down = head.getAttribute("aria-sort") !== "descending" && column.unit !== "text"
                || head.getAttribute("aria-sort") === "ascending";
            for (const other of heads) other.setAttribute("aria-sort", "none");
            head.setAttribute("aria-sort", down ? "descending" : "ascending");
            const order = (a, b) => column.unit === "text" ? String(a[i]).localeCompare(String(b[i]), "en")
                : (a[i] ?? -1) - (b[i] ?? -1);
            fill([...rows].sort((a, b) => down ? order(b, a) : order(a, b)));
        };
        head.addEventListener("click", sort);
        head.addEventListener("keydown", (event) => {
            if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
        });
        return head;
    });
    fill(rows);
    return element("div", {class: "scroll"},
        element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body));
}
