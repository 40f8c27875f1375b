#include "app/cli/junit.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include <pugixml.hpp>

#include "app/cli/xml_text.h"

namespace hvsim::app {
namespace {

constexpr std::uint64_t kMillisecondNs = 1'000'000;

void set(pugi::xml_node node, const char* name, const std::string& value) {
    node.append_attribute(name).set_value(xml_text(value).c_str());
}

void add_case(pugi::xml_node suite, const std::string& class_name, const std::string& name,
              const std::vector<std::string>& failures, const char* element) {
    pugi::xml_node node = suite.append_child("testcase");
    set(node, "classname", class_name);
    set(node, "name", name);
    set(node, "time", "0");
    for (const std::string& failure : failures) {
        pugi::xml_node child = node.append_child(element);
        set(child, "message", failure);
        child.append_child(pugi::node_pcdata).set_value(xml_text(failure).c_str());
    }
}

void add_properties(pugi::xml_node suite, const analysis::RunResult& result) {
    pugi::xml_node properties = suite.append_child("properties");
    const auto add = [&](const char* name, const std::string& value) {
        pugi::xml_node property = properties.append_child("property");
        set(property, "name", name);
        set(property, "value", value);
    };
    add("hvsim.version", result.program_version);
    add("hvsim.end", result.end);
    add("hvsim.digest", result.digest);
    add("hvsim.virtual_time_ps", fmt::format("{}", result.virtual_time));
}

void add_consoles(pugi::xml_node suite, const std::vector<ConsoleTail>& consoles) {
    std::string text;
    for (const ConsoleTail& console : consoles) {
        text += fmt::format("the console of {} ends with:\n", console.name);
        for (const std::string& line : console.lines) text += fmt::format("  | {}\n", line);
    }
    suite.append_child("system-out")
        .append_child(pugi::node_pcdata)
        .set_value(xml_text(text).c_str());
}

}  // namespace

std::string junit_report(const analysis::RunResult& result,
                         const std::vector<Expectation>& expectations, const std::string& error,
                         const std::vector<ConsoleTail>& consoles) {
    const auto failed =
        std::count_if(expectations.begin(), expectations.end(),
                      [](const Expectation& expected) { return !expected.failures.empty(); });
    const std::string errors = error.empty() ? "0" : "1";
    const std::string tests = fmt::format("{}", expectations.size() + (error.empty() ? 0 : 1));
    const std::string time = fmt::format("{}.{:03}", result.wall_ns / kMillisecondNs / 1000,
                                         result.wall_ns / kMillisecondNs % 1000);
    pugi::xml_document document;
    pugi::xml_node declaration = document.append_child(pugi::node_declaration);
    set(declaration, "version", "1.0");
    set(declaration, "encoding", "UTF-8");
    pugi::xml_node suites = document.append_child("testsuites");
    pugi::xml_node suite = suites.append_child("testsuite");
    for (pugi::xml_node node : {suites, suite}) {
        set(node, "name", node == suite ? result.scenario : "hvsim");
        set(node, "tests", tests);
        set(node, "failures", fmt::format("{}", failed));
        set(node, "errors", errors);
        set(node, "time", time);
    }
    add_properties(suite, result);
    for (const Expectation& expected : expectations)
        add_case(suite, result.scenario, expected.name, expected.failures, "failure");
    if (!error.empty()) add_case(suite, result.scenario, "run", {error}, "error");
    add_consoles(suite, consoles);
    std::ostringstream out;
    document.save(out, "  ", pugi::format_indent, pugi::encoding_utf8);
    return std::move(out).str();
}

}  // namespace hvsim::app
