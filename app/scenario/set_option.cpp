#include "app/scenario/set_option.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>

namespace hvsim::app {
namespace {

struct Step {
    std::string name;
    std::optional<std::size_t> index;  // name[index]
};

[[noreturn]] void fail(const std::string& option, const std::string& problem) {
    throw sim::ConfigError({option, 0, 0}, problem,
                           "write --set host.processors=4 or --set vm[0].ram=\"1 GiB\"");
}

std::vector<Step> steps_of(const std::string& path, const std::string& option) {
    std::vector<Step> steps;
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t dot = std::min(path.find('.', begin), path.size());
        std::string part = path.substr(begin, dot - begin);
        begin = dot + 1;
        Step step;
        if (const std::size_t bracket = part.find('['); bracket != std::string::npos) {
            std::size_t index = 0;
            const char* const first = part.data() + bracket + 1;
            const char* const last = part.data() + part.size() - 1;
            const auto [end, error] = std::from_chars(first, last, index);
            if (part.back() != ']' || error != std::errc{} || end != last)
                fail(option, fmt::format("\"{}\" has no index in its brackets", part));
            step.index = index;
            part.resize(bracket);
        }
        if (part.empty()) fail(option, "a key's part is empty");
        step.name = std::move(part);
        steps.push_back(std::move(step));
    }
    return steps;
}

/// The value as TOML; what is not TOML is a string, so that quotes may be left out.
toml::table parse_value(const std::string& text, const std::string& option) {
    try {
        toml::table table = parse_document("value = " + text, option);
        if (table.size() == 1) return table;
    } catch (const sim::ConfigError&) {
        // A string, then.
    }
    toml::table table;
    table.insert("value", text);
    return table;
}

/// A key that says in messages where it is from.
toml::key key_of(const std::string& name, const std::string& option) {
    return toml::key(name, {{}, {}, std::make_shared<const std::string>(option)});
}

toml::table& descend(toml::table& table, const Step& step, const std::string& option) {
    toml::node* node = table.get(step.name);
    if (!step.index) {
        if (node == nullptr)
            node = &table.insert(key_of(step.name, option), toml::table{}).first->second;
    } else {
        toml::array* array = node != nullptr ? node->as_array() : nullptr;
        node = array != nullptr ? array->get(*step.index) : nullptr;
        if (node == nullptr)
            fail(option, fmt::format("the scenario has no {}[{}]", step.name, *step.index));
    }
    if (!node->is_table()) fail(option, fmt::format("{} is not a table", step.name));
    return *node->as_table();
}

}  // namespace

SetOptions::SetOptions(const std::vector<std::string>& options, toml::table& root) {
    for (const std::string& text : options) {
        const std::string option = "--set " + text;
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) fail(option, "expected KEY=VALUE");
        const std::string path = text.substr(0, equals);
        const std::vector<Step> steps = steps_of(path, option);
        toml::table* table = &root;
        for (std::size_t i = 0; i + 1 < steps.size(); ++i)
            table = &descend(*table, steps[i], option);
        if (steps.back().index) fail(option, "the last part of the key cannot have an index");
        toml::table value = parse_value(text.substr(equals + 1), option);
        table->insert_or_assign(key_of(steps.back().name, option), std::move(*value.get("value")));
        options_[path] = option;
    }
}

const std::string* SetOptions::option_of(const std::string& path) const {
    for (const auto& [key, option] : options_) {
        const bool inside =
            path.starts_with(key) &&
            (path.size() == key.size() || path[key.size()] == '.' || path[key.size()] == '[');
        if (inside) return &option;
    }
    return nullptr;
}

}  // namespace hvsim::app
