#include "analysis/compare/report_reader.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "analysis/compare/intervals.h"
#include "analysis/report.h"
#include "sim/error.h"

namespace hvsim::analysis {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHint = "hvsim run --json FILE writes such a file";

/// The JSON form has no units of columns; their names tell.
std::string unit_of(std::string_view key) {
    if (key.ends_with("_ps")) return "ps";
    return key.starts_with("bytes") ? "bytes" : "count";
}

void read_tables(const Json& root, RunResult& result) {
    for (const auto& [key, rows] : root.at("tables").items()) {
        Table& table = result.tables.emplace_back();
        table.key = key;
        for (const Json& row : rows) {
            Row& read = table.rows.emplace_back();
            table.columns.clear();
            for (const auto& [column, value] : row.items()) {
                if (column == "name") {
                    read.name = value.get<std::string>();
                    continue;
                }
                table.columns.push_back({column, column, unit_of(column)});
                read.values.push_back(value.get<std::uint64_t>());
            }
        }
    }
}

void read_distributions(const Json& root, RunResult& result) {
    for (const auto& [key, value] : root.at("distributions").items()) {
        const auto number = [&json = value](const char* name) {
            return json.at(name).get<std::uint64_t>();
        };
        result.distributions.push_back(
            {key, key, value.at("unit").get<std::string>(),
             Percentiles{number("count"), number("least"), number("p50"), number("p90"),
                         number("p99"), number("greatest"), number("mean")}});
    }
}

void read_statistics(const Json& root, RunResult& result) {
    for (const Json& statistic : root.at("statistics"))
        result.statistics.push_back({statistic.at("name").get<std::string>(),
                                     statistic.at("value").get<std::uint64_t>(),
                                     statistic.at("unit").get<std::string>(),
                                     {}});
}

/// What reports have from the day on that they can be compared.
void read_comparison(const Json& root, RunResult& result) {
    if (!root.contains("comparison")) return;
    const Json& comparison = root.at("comparison");
    sim::RunInputs& inputs = result.inputs.emplace();
    for (const Json& input : comparison.at("inputs"))
        inputs.files.push_back({input.at("role").get<std::string>(),
                                input.at("file").get<std::string>(),
                                input.at("sha256").get<std::string>()});
    for (const Json& setting : comparison.at("settings"))
        inputs.settings.push_back(setting.get<std::string>());
    for (const Json& line : comparison.at("milliseconds"))
        if (!parse_interval_line(line.get<std::string>(), result.intervals))
            throw std::invalid_argument("milliseconds: no line of digests");
}

RunResult read_result(const Json& root) {
    RunResult result;
    result.scenario = root.at("scenario").get<std::string>();
    result.program_version = root.at("program_version").get<std::string>();
    result.end = root.at("result").at("end").get<std::string>();
    const Json& time = root.at("time");
    result.virtual_time = time.at("virtual_ps").get<std::uint64_t>();
    result.greatest_overshoot = time.at("greatest_overshoot_ps").get<std::uint64_t>();
    result.code_bytes = root.at("code_bytes").get<std::uint64_t>();
    result.instructions = root.at("instructions").get<std::uint64_t>();
    result.digest = root.at("digest").get<std::string>();
    read_tables(root, result);
    read_distributions(root, result);
    read_statistics(root, result);
    read_comparison(root, result);
    return result;
}

}  // namespace

RunRecord parse_report(std::string_view text, const std::string& file) {
    Json root;
    try {
        root = Json::parse(text);
    } catch (const Json::parse_error& error) {
        throw sim::ConfigError(fmt::format("{} is not JSON, or cut off: byte {}", file, error.byte),
                               kHint);
    }
    if (!root.is_object() || root.value("format", "") != "hvsim-run")
        throw sim::ConfigError(fmt::format("{} is not a report of a run", file), kHint);
    if (const int version = root.value("format_version", 0); version != kJsonVersion)
        throw sim::ConfigError(fmt::format("{} is a report of version {}; this program reads {}",
                                           file, version, kJsonVersion),
                               "use the hvsim that wrote it, or make it again");
    try {
        return record_of(read_result(root), file);
    } catch (const std::exception& error) {
        throw sim::ConfigError(
            fmt::format("{} is not a whole report of a run: {}", file, error.what()), kHint);
    }
}

}  // namespace hvsim::analysis
