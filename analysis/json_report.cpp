#include <nlohmann/json.hpp>

#include "analysis/compare/intervals.h"
#include "analysis/report.h"

namespace hvsim::analysis {
namespace {

using Json = nlohmann::ordered_json;

Json table_json(const Table& table) {
    Json rows = Json::array();
    for (const Row& row : table.rows) {
        Json object{{"name", row.name}};
        for (std::size_t i = 0; i < table.columns.size(); ++i)
            object[table.columns[i].key] = row.values[i];
        rows.push_back(std::move(object));
    }
    return rows;
}

/// What a table's keys are called, and their units.
Json columns_json(const Table& table) {
    Json columns = Json::array();
    for (const Column& column : table.columns)
        columns.push_back({{"key", column.key}, {"title", column.title}, {"unit", column.unit}});
    return {{"title", table.title}, {"name_title", table.name_title}, {"columns", columns}};
}

Json percentiles_json(const Distribution& distribution) {
    const Percentiles& p = distribution.percentiles;
    return {{"unit", distribution.unit},
            {"count", p.count},
            {"least", p.least},
            {"p50", p.p50},
            {"p90", p.p90},
            {"p99", p.p99},
            {"greatest", p.greatest},
            {"mean", p.mean}};
}

Json failure_json(const Failure& failure) {
    Json object{{"kind", failure.kind},       {"what", failure.what},
                {"outcome", failure.outcome}, {"rule", failure.rule},
                {"section", failure.section}, {"field", failure.field},
                {"demand", failure.demand},   {"value", failure.value}};
    if (!failure.value_text.empty()) object["value_text"] = failure.value_text;
    if (!failure.broken.empty()) object["broken"] = failure.broken;
    object["time_ps"] = failure.time;
    object["processor"] = failure.processor;
    if (failure.rip) object["rip"] = *failure.rip;
    if (!failure.instruction.empty()) object["instruction"] = failure.instruction;
    if (!failure.code_bytes.empty()) object["code_bytes"] = failure.code_bytes;
    object["count"] = failure.count;
    return object;
}

Json pairs_json(const std::vector<NamedText>& pairs) {
    Json object = Json::object();
    for (const auto& [name, value] : pairs) object[name] = value;
    return object;
}

Json comparison_json(const RunResult& result) {
    Json inputs = Json::array();
    for (const sim::RunInput& input : result.inputs->files)
        inputs.push_back({{"role", input.role}, {"file", input.file}, {"sha256", input.sha256}});
    return {{"inputs", std::move(inputs)},
            {"settings", result.inputs->settings},
            {"milliseconds", interval_lines(result.intervals)}};
}

}  // namespace

std::string json_report(const RunResult& result) {
    Json root;
    root["format"] = "hvsim-run";
    root["format_version"] = kJsonVersion;
    root["scenario"] = result.scenario;
    root["scenario_text"] = result.scenario_text;
    root["settings"] = result.settings;
    root["program_version"] = result.program_version;
    root["machine"] = pairs_json(result.machine);
    root["result"] = {{"end", result.end}, {"met", result.met}, {"unmet", result.unmet}};
    if (result.exit_code) root["result"]["exit_code"] = *result.exit_code;
    root["time"] = {{"virtual_ps", result.virtual_time},
                    {"quantum_ps", result.quantum},
                    {"greatest_overshoot_ps", result.greatest_overshoot}};
    root["code_bytes"] = result.code_bytes;
    root["instructions"] = result.instructions;
    if (result.first_failure) root["first_failure"] = failure_json(*result.first_failure);
    root["tables"] = Json::object();
    for (const Table& table : result.tables) root["tables"][table.key] = table_json(table);
    root["table_columns"] = Json::object();
    for (const Table& table : result.tables) root["table_columns"][table.key] = columns_json(table);
    root["distributions"] = Json::object();
    for (const Distribution& distribution : result.distributions)
        root["distributions"][distribution.key] = percentiles_json(distribution);
    root["statistics"] = Json::array();
    for (const Statistic& statistic : result.statistics)
        root["statistics"].push_back({{"name", statistic.name},
                                      {"value", statistic.value},
                                      {"unit", statistic.unit},
                                      {"description", statistic.description}});
    root["digest"] = result.digest;
    if (result.inputs) root["comparison"] = comparison_json(result);
    root["host"] = {{"wall_ns", result.wall_ns}, {"versions", pairs_json(result.versions)}};
    // Names may come from a guest: bytes that are not UTF-8 are replaced, never an exception.
    return root.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace hvsim::analysis
