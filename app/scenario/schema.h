#pragma once
// The one table of everything a scenario file may contain. Reading, its errors, --explain and
// docs/scenario.md come from it.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace hvsim::app {

enum class ValueType : std::uint8_t {
    boolean,
    integer,
    size,      ///< bytes; "512 MiB", or an integer of MiB
    duration,  ///< picoseconds; "10us"
    string,
    strings,  ///< an array of strings
    choice,   ///< one of the key's words; stored as its index
    choices,  ///< an array of them
    path,     ///< relative to the scenario file's folder
    date,     ///< seconds since 1970
};

/// A value of any type after its check.
using Value = std::variant<bool, std::uint64_t, std::int64_t, std::string, std::filesystem::path,
                           std::vector<std::string>, std::vector<std::uint64_t>>;

/// For integers, sizes (bytes) and durations (picoseconds).
struct Range {
    std::uint64_t least = 0;
    std::uint64_t greatest = ~std::uint64_t{0};
    std::uint64_t multiple = 1;
};

/// One key of a section.
struct Key {
    std::string_view name;
    ValueType type;
    /// The default as a person would write it without quotes; empty = none; nullptr = the key must
    /// be given.
    const char* fallback;
    std::string_view text;  ///< what it means
    void (*store)(void* object, const Value& value);
    Range range{};
    std::span<const std::string_view> choices{};
};

enum class SectionKind : std::uint8_t {
    table,     ///< always there; absent means all defaults
    optional,  ///< its presence means something
    array,     ///< [[name]], any number
    timing,    ///< the timing table's own keys (sim/timing.h)
};

/// One table of the file.
struct Section {
    std::string_view path;  ///< "vm.disk"; empty = the file's top level
    SectionKind kind;
    std::string_view text;
    std::span<const Key> keys;
    /// The section's struct within its parent's; made when the section is optional or an array.
    void* (*open)(void* parent);
};

/// All sections, parents before their children.
std::span<const Section> schema();

/// The path of the section that holds this one; empty for the top level.
constexpr std::string_view parent_path(std::string_view path) {
    const std::size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}
/// The last part of a section's path.
constexpr std::string_view last_part(std::string_view path) {
    const std::size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

/// "an integer from 1 to 64": the words after "expected".
std::string expected_form(const Key& key);
/// A default as a scenario would write it: `"2 GiB"`, `true`, `[]`; "none" for an absent one.
std::string written_default(const Key& key);

namespace detail {

template <typename T>
struct Unwrapped {
    using Type = T;
};
template <typename T>
struct Unwrapped<std::optional<T>> {
    using Type = T;
};

template <typename T>
void assign(T& field, const Value& value) {
    using Plain = typename Unwrapped<T>::Type;
    if constexpr (std::is_same_v<Plain, bool> || std::is_same_v<Plain, std::string> ||
                  std::is_same_v<Plain, std::filesystem::path> ||
                  std::is_same_v<Plain, std::int64_t> ||
                  std::is_same_v<Plain, std::vector<std::string>>)
        field = std::get<Plain>(value);
    else
        field = static_cast<Plain>(std::get<std::uint64_t>(value));
}
template <typename Word>
requires std::is_enum_v<Word>
void assign(std::vector<Word>& field, const Value& value) {
    field.clear();
    for (const std::uint64_t index : std::get<std::vector<std::uint64_t>>(value))
        field.push_back(static_cast<Word>(index));
}

template <typename Object, typename T>
Object object_of(T Object::*);

template <auto Member>
void store(void* object, const Value& value) {
    using Object = decltype(object_of(Member));
    assign(static_cast<Object*>(object)->*Member, value);
}

template <typename T>
void* made(T& field) {
    return &field;
}
template <typename T>
void* made(std::optional<T>& field) {
    return &field.emplace();
}
template <typename T>
void* made(std::vector<T>& field) {
    return &field.emplace_back();
}

template <auto Member>
void* open(void* parent) {
    using Object = decltype(object_of(Member));
    return made(static_cast<Object*>(parent)->*Member);
}

}  // namespace detail
}  // namespace hvsim::app
