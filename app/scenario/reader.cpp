#include "app/scenario/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/scenario/document.h"
#include "app/scenario/nearest.h"
#include "app/scenario/profile.h"
#include "app/scenario/schema.h"
#include "app/scenario/set_option.h"
#include "app/scenario/validate.h"
#include "app/scenario/value_reader.h"

namespace hvsim::app {
namespace {

std::string joined(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

/// Where a key of this name is allowed: "[host]"; empty when nowhere.
std::string home_of(std::string_view name) {
    for (const Section& section : schema()) {
        const std::string_view brackets = section.kind == SectionKind::array ? "[[{}]]" : "[{}]";
        for (const Key& key : section.keys)
            if (key.name == name) return fmt::format(fmt::runtime(brackets), section.path);
        if (!section.path.empty() && section.path.find('.') != std::string_view::npos &&
            last_part(section.path) == name)
            return fmt::format(fmt::runtime(brackets), parent_path(section.path));
    }
    return {};
}

class Reader {
  public:
    Reader(Scenario& scenario, const SetOptions& set)
        : scenario_(scenario), set_(set), file_(scenario.file.string()) {}

    void read(const toml::table& root) { read_section(schema().front(), &root, &scenario_, ""); }
    const toml::table* timing() const { return timing_; }

  private:
    sim::SourceLocation place(const std::string& path, const toml::source_region& region) const {
        if (const std::string* option = set_.option_of(path)) return {*option, 0, 0};
        return location_of(region, file_);
    }

    void read_section(const Section& section, const toml::table* table, void* object,
                      const std::string& path) {
        if (table != nullptr) check_names(section, *table, path);
        for (const Key& key : section.keys) read_key(section, key, table, object, path);
        for (const Section& child : schema())
            if (!child.path.empty() && parent_path(child.path) == section.path &&
                &child != &section)
                read_child(child, table, object, path);
    }

    void read_key(const Section& section, const Key& key, const toml::table* table, void* object,
                  const std::string& path) {
        const toml::node* node = table != nullptr ? table->get(key.name) : nullptr;
        const std::string key_path = joined(path, key.name);
        if (node != nullptr) {
            const sim::SourceLocation where = place(key_path, node->source());
            key.store(object, read_value(key, *node, key_path, where));
            scenario_.locations[key_path] = where;
            if (const toml::array* array = node->as_array())
                for (std::size_t i = 0; i < array->size(); ++i) {
                    const std::string element = fmt::format("{}[{}]", key_path, i);
                    scenario_.locations[element] = place(element, array->get(i)->source());
                }
            return;
        }
        if (key.fallback == nullptr) {
            sim::SourceLocation where{file_, 0, 0};
            if (table != nullptr) where = location_of(table->source(), file_);
            throw sim::ConfigError(where, fmt::format("{} is missing", key_path),
                                   fmt::format("[{}] {}: {} Expected {}.", section.path, key.name,
                                               key.text, expected_form(key)));
        }
        const std::string_view fallback = key.fallback;
        if (!fallback.empty()) key.store(object, default_value(key));
    }

    void read_child(const Section& child, const toml::table* table, void* object,
                    const std::string& path) {
        const std::string_view name = last_part(child.path);
        const toml::node* node = table != nullptr ? table->get(name) : nullptr;
        const std::string child_path = joined(path, name);
        if (child.kind == SectionKind::array) {
            if (node != nullptr) read_array(child, *node, object, child_path);
            return;
        }
        if (node != nullptr && !node->is_table())
            fail_expected(place(child_path, node->source()), child_path, "a table", *node);
        if (node != nullptr) scenario_.locations[child_path] = place(child_path, node->source());
        const toml::table* content = node != nullptr ? node->as_table() : nullptr;
        if (child.kind == SectionKind::timing) {
            timing_ = content;
            return;
        }
        if (child.kind == SectionKind::optional && content == nullptr) return;
        read_section(child, content, child.open(object), child_path);
    }

    void read_array(const Section& child, const toml::node& node, void* object,
                    const std::string& path) {
        const toml::array* array = node.as_array();
        if (array == nullptr || (!array->empty() && !array->is_array_of_tables()))
            throw sim::ConfigError(
                place(path, node.source()),
                fmt::format("{}: expected an array of tables, found {}", path, found_form(node)),
                fmt::format("write [[{}]] with two brackets", child.path));
        for (std::size_t i = 0; i < array->size(); ++i) {
            const toml::table& element = *array->get(i)->as_table();
            const std::string element_path = fmt::format("{}[{}]", path, i);
            scenario_.locations[element_path] = place(element_path, element.source());
            read_section(child, &element, child.open(object), element_path);
        }
    }

    void check_names(const Section& section, const toml::table& table, const std::string& path) {
        std::vector<std::string_view> known;
        for (const Key& key : section.keys) known.push_back(key.name);
        for (const Section& child : schema())
            if (!child.path.empty() && parent_path(child.path) == section.path)
                known.push_back(last_part(child.path));
        for (const auto& entry : table) {
            const std::string_view name = entry.first.str();
            if (std::find(known.begin(), known.end(), name) != known.end()) continue;
            std::string hint;
            if (const auto near = nearest(name, known); !near.empty())
                hint = fmt::format("did you mean \"{}\"?", near);
            else if (const std::string home = home_of(name); !home.empty())
                hint = fmt::format("\"{}\" belongs to {}", name, home);
            else
                hint = "`hvsim scenario --explain` lists every key";
            const std::string where = path.empty() ? "" : fmt::format(" in {}", path);
            throw sim::ConfigError(place(joined(path, name), entry.first.source()),
                                   fmt::format("unknown key \"{}\"{}", name, where), hint);
        }
    }

    Scenario& scenario_;
    const SetOptions& set_;
    std::string file_;
    const toml::table* timing_ = nullptr;
};

void read_timing_into(Scenario& scenario, const toml::table* overrides,
                      const ReadOptions& options) {
    const std::filesystem::path profile = find_profile(scenario, options.profile_folders);
    TimingResult result =
        read_timing(read_text(profile, "the timing profiles are in scenarios/profiles"),
                    profile.string(), overrides, scenario.file.string());
    const HostDiskConfig& disk = scenario.host.disk;
    const auto replace = [&](std::uint64_t sim::TimingProfile::*field,
                             const std::optional<sim::Duration>& latency, const char* key) {
        if (!latency) return;
        const sim::SourceLocation where = scenario.where(key);
        override_timing(
            result, field, *latency,
            where.line == 0 ? where.file : fmt::format("{}:{}", where.file, where.line));
    };
    replace(&sim::TimingProfile::device_disk_read, disk.read_latency, "host.disk.read_latency");
    replace(&sim::TimingProfile::device_disk_write, disk.write_latency, "host.disk.write_latency");
    replace(&sim::TimingProfile::device_disk_flush, disk.flush_latency, "host.disk.flush_latency");
    replace(&sim::TimingProfile::device_disk_page, disk.page_transfer, "host.disk.page_transfer");
    scenario.timing_profile = result.name;
    scenario.timing = result.profile;
    scenario.timing_sources = std::move(result.sources);
}

}  // namespace

Scenario parse_scenario(std::string_view text, const std::filesystem::path& file,
                        const ReadOptions& options) {
    Scenario scenario;
    scenario.file = file;
    scenario.text = text;
    toml::table root = parse_document(text, file.string());
    const SetOptions set(options.set, root);
    Reader reader(scenario, set);
    reader.read(root);
    complete(scenario);
    validate(scenario, options.check_files);
    read_timing_into(scenario, reader.timing(), options);
    return scenario;
}

Scenario read_scenario(const std::filesystem::path& file, const ReadOptions& options) {
    return parse_scenario(read_text(file, "the scenarios are in the folder scenarios"), file,
                          options);
}

}  // namespace hvsim::app
