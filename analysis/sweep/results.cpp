#include "analysis/sweep/results.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "sim/error.h"

namespace hvsim::analysis {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "hvsim-sweep 1";
constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS sweep (   -- what the sweep is of
    name  TEXT PRIMARY KEY,          -- format, scenario, scenario_digest, program_version, keys
    value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS points (  -- one run of the scenario each
    id      INTEGER PRIMARY KEY,
    name    TEXT UNIQUE NOT NULL,    -- its settings as one text
    status  TEXT NOT NULL,           -- met, unmet, failed or not_repeatable
    reason  TEXT NOT NULL,           -- why it is not met, in words
    digest  TEXT NOT NULL);          -- of the run
CREATE TABLE IF NOT EXISTS settings (-- the values that make the point
    point INTEGER NOT NULL REFERENCES points(id),
    key   TEXT NOT NULL,             -- of the scenario: host.iommu.iotlb_entries
    value TEXT NOT NULL,
    PRIMARY KEY (point, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metrics ( -- the numbers of its report
    point INTEGER NOT NULL REFERENCES points(id),
    name  TEXT NOT NULL,             -- tables.vm_exits.all.count, statistics.iommu.iotlb_hits
    value INTEGER NOT NULL,
    unit  TEXT NOT NULL,             -- ps, ns, bytes or count
    PRIMARY KEY (point, name)) WITHOUT ROWID;
)";

constexpr std::array kStatusNames{"met", "unmet", "failed", "not_repeatable"};

PointStatus status_called(std::string_view name) {
    for (std::size_t i = 0; i < kStatusNames.size(); ++i)
        if (name == kStatusNames[i]) return static_cast<PointStatus>(i);
    return PointStatus::failed;
}

std::string unit_of(std::string_view key) {
    if (key.ends_with("_ps")) return "ps";
    if (key.ends_with("_ns")) return "ns";
    return key.starts_with("bytes") || key.ends_with("bytes") ? "bytes" : "count";
}

/// Calls `give(name, value, unit)` for every number of a report.
template <typename Give>
void each_metric(const Json& report, Give give) {
    for (const char* group : {"time", "host"})
        for (const auto& [key, value] : report.at(group).items())
            if (value.is_number_unsigned())
                give(fmt::format("{}.{}", group, key), value.template get<std::uint64_t>(),
                     unit_of(key));
    for (const char* key : {"code_bytes", "instructions"})
        give(key, report.at(key).template get<std::uint64_t>(), unit_of(key));
    for (const auto& [table, rows] : report.at("tables").items())
        for (const Json& row : rows)
            for (const auto& [key, value] : row.items())
                if (value.is_number_unsigned())
                    give(fmt::format("tables.{}.{}.{}", table,
                                     row.at("name").template get<std::string>(), key),
                         value.template get<std::uint64_t>(), unit_of(key));
    for (const auto& [name, row] : report.at("distributions").items())
        for (const auto& [key, value] : row.items())
            if (value.is_number_unsigned())
                give(fmt::format("distributions.{}.{}", name, key),
                     value.template get<std::uint64_t>(),
                     key == "count" ? "count" : row.at("unit").template get<std::string>());
    for (const Json& row : report.at("statistics"))
        give(fmt::format("statistics.{}", row.at("name").template get<std::string>()),
             row.at("value").template get<std::uint64_t>(),
             row.at("unit").template get<std::string>());
}

}  // namespace

std::string to_string(const Settings& settings) {
    std::string text;
    for (const auto& [key, value] : settings)
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
    return text;
}

std::string_view to_string(PointStatus status) {
    return kStatusNames[static_cast<std::size_t>(status)];
}

SweepResults::SweepResults(const std::filesystem::path& file, const SweepIdentity& identity)
    : database_(file, Database::Mode::create) {
    database_.execute("PRAGMA foreign_keys = ON");
    Database::Transaction transaction(database_);
    Database::Statement tables(database_, "SELECT count(*) FROM sqlite_master");
    tables.step();
    if (tables.number(0) != 0) {
        check(identity);
    } else {
        database_.execute(kSchema);
        const std::string keys = fmt::format("{}", fmt::join(identity.keys, " "));
        const std::pair<std::string_view, std::string_view> rows[] = {
            {"format", kFormat},
            {"scenario", identity.scenario},
            {"scenario_digest", identity.scenario_digest},
            {"program_version", identity.program_version},
            {"keys", keys}};
        Database::Statement insert(database_, "INSERT INTO sweep VALUES (?, ?)");
        for (const auto& [name, value] : rows) insert.bind(name).bind(value).run();
    }
    transaction.commit();
}

SweepResults::SweepResults(const std::filesystem::path& file)
    : database_(file, Database::Mode::read) {
    if (property("format") != kFormat)
        throw sim::ConfigError(fmt::format("{} holds no results of a sweep", file.string()),
                               "hvsim sweep writes them");
}

std::string SweepResults::property(std::string_view name) {
    Database::Statement exists(database_,
                               "SELECT count(*) FROM sqlite_master WHERE name = 'sweep'");
    exists.step();
    if (exists.number(0) == 0) return {};
    Database::Statement select(database_, "SELECT value FROM sweep WHERE name = ?");
    return select.bind(name).step() ? select.text(0) : std::string();
}

void SweepResults::check(const SweepIdentity& identity) {
    const std::string file = database_.file().string();
    if (property("format") != kFormat)
        throw sim::ConfigError(fmt::format("{} holds something else than a sweep", file),
                               "name another file with --results");
    const std::string keys = fmt::format("{}", fmt::join(identity.keys, " "));
    const std::tuple<std::string_view, std::string_view, std::string_view> rows[] = {
        {"scenario_digest", identity.scenario_digest, "text of the scenario"},
        {"program_version", identity.program_version, "version of hvsim"},
        {"keys", keys, "list of parameters"}};
    for (const auto& [name, value, what] : rows) {
        const std::string there = property(name);
        if (there == value) continue;
        const bool digest = name == "scenario_digest";
        throw sim::ConfigError(
            fmt::format("{} holds a sweep with another {}{}", file, what,
                        digest ? "" : fmt::format(": \"{}\", not \"{}\"", there, value)),
            "name another file with --results");
    }
}

void SweepResults::store_metrics(std::uint64_t point, const std::string& report) {
    Database::Statement insert(database_, "INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?)");
    each_metric(Json::parse(report),
                [&](const std::string& name, std::uint64_t value, const std::string& unit) {
                    insert.bind(point).bind(name).bind(value).bind(unit).run();
                });
}

void SweepResults::store(const PointOutcome& outcome) {
    std::string digest;
    if (!outcome.report.empty())
        digest = Json::parse(outcome.report).at("digest").get<std::string>();
    const std::string name = to_string(outcome.settings);
    Database::Transaction transaction(database_);
    for (const char* table : {"metrics", "settings"})
        Database::Statement(database_, fmt::format("DELETE FROM {} WHERE point = (SELECT id FROM "
                                                   "points WHERE name = ?)",
                                                   table))
            .bind(name)
            .run();
    Database::Statement(database_,
                        "INSERT INTO points (name, status, reason, digest) VALUES (?, ?, ?, ?) ON "
                        "CONFLICT (name) DO UPDATE SET status = excluded.status, reason = "
                        "excluded.reason, digest = excluded.digest")
        .bind(name)
        .bind(to_string(outcome.status))
        .bind(outcome.reason)
        .bind(digest)
        .run();
    Database::Statement select(database_, "SELECT id FROM points WHERE name = ?");
    select.bind(name).step();
    const std::uint64_t point = select.number(0);
    Database::Statement insert(database_, "INSERT INTO settings VALUES (?, ?, ?)");
    for (const auto& [key, value] : outcome.settings)
        insert.bind(point).bind(key).bind(value).run();
    if (!outcome.report.empty()) store_metrics(point, outcome.report);
    transaction.commit();
}

std::map<std::string, PointRow> SweepResults::points() {
    std::map<std::string, PointRow> points;
    std::map<std::uint64_t, std::string> names;
    Database::Statement select(database_, "SELECT id, name, status, reason, digest FROM points");
    while (select.step()) {
        names[select.number(0)] = select.text(1);
        points[select.text(1)] = {
            select.number(0), {}, status_called(select.text(2)), select.text(3), select.text(4)};
    }
    const std::vector<std::string> order = keys();
    Database::Statement value(database_, "SELECT value FROM settings WHERE point = ? AND key = ?");
    for (auto& [name, row] : points)
        for (const std::string& key : order) {
            if (value.bind(row.id).bind(key).step()) row.settings.emplace_back(key, value.text(0));
            while (value.step()) {
            }
        }
    return points;
}

std::vector<std::string> SweepResults::keys() {
    std::vector<std::string> keys;
    const std::string all = property("keys");
    for (std::size_t begin = 0; begin < all.size();) {
        const std::size_t end = std::min(all.find(' ', begin), all.size());
        keys.push_back(all.substr(begin, end - begin));
        begin = end + 1;
    }
    return keys;
}

std::vector<std::string> SweepResults::metric_names() {
    std::vector<std::string> names;
    Database::Statement select(database_, "SELECT DISTINCT name FROM metrics ORDER BY name");
    while (select.step()) names.push_back(select.text(0));
    return names;
}

bool SweepResults::metric(std::uint64_t point, std::string_view name, std::uint64_t& value,
                          std::string& unit) {
    Database::Statement select(database_,
                               "SELECT value, unit FROM metrics WHERE point = ? AND name = ?");
    if (!select.bind(point).bind(name).step()) return false;
    value = select.number(0);
    unit = select.text(1);
    return true;
}

}  // namespace hvsim::analysis
