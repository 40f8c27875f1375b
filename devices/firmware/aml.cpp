#include "devices/firmware/aml.h"

#include <algorithm>

#include "sim/error.h"

namespace hvsim::devices::firmware::aml {

namespace {

// Opcodes, ACPI 6.4 table 20.1.
constexpr std::uint8_t kZero = 0x00, kOne = 0x01, kName = 0x08, kByte = 0x0a, kWord = 0x0b,
                       kDword = 0x0c, kString = 0x0d, kQword = 0x0e, kScope = 0x10, kBuffer = 0x11,
                       kPackage = 0x12, kMethod = 0x14, kDual = 0x2e, kMulti = 0x2f,
                       kExtended = 0x5b, kDevice = 0x82, kReturn = 0xa4;

void append(Aml& to, const Aml& from) {
    to.insert(to.end(), from.begin(), from.end());
}

void append_le(Aml& to, std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) to.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}

/// PkgLength (20.2.4) counts itself.
Aml with_length(const Aml& contents) {
    Aml result;
    if (contents.size() + 1 < 0x40) {
        result.push_back(static_cast<std::uint8_t>(contents.size() + 1));
    } else {
        unsigned extra = 1;
        while (contents.size() + 1 + extra >= std::size_t{1} << (4 + 8 * extra)) ++extra;
        SIM_ASSERT(extra <= 3);
        const std::size_t length = contents.size() + 1 + extra;
        result.push_back(static_cast<std::uint8_t>(extra << 6 | (length & 0xf)));
        append_le(result, length >> 4, extra);
    }
    append(result, contents);
    return result;
}

Aml block(std::initializer_list<std::uint8_t> opcode, const Aml& contents) {
    Aml result(opcode);
    append(result, with_length(contents));
    return result;
}

void append_segment(Aml& to, std::string_view segment) {
    SIM_ASSERT(!segment.empty() && segment.size() <= 4);
    for (std::size_t i = 0; i < 4; ++i) {
        const char c = i < segment.size() ? segment[i] : '_';
        const bool digit = c >= '0' && c <= '9';
        SIM_ASSERT((c >= 'A' && c <= 'Z') || c == '_' || (digit && i > 0));
        to.push_back(static_cast<std::uint8_t>(c));
    }
}

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

}  // namespace

Aml concat(std::initializer_list<Aml> parts) {
    Aml result;
    for (const Aml& part : parts) append(result, part);
    return result;
}

Aml name_string(std::string_view path) {
    Aml result;
    while (!path.empty() && (path[0] == '\\' || path[0] == '^')) {
        result.push_back(static_cast<std::uint8_t>(path[0]));
        path.remove_prefix(1);
    }
    if (path.empty()) {
        result.push_back(0);  // NullName
        return result;
    }
    const auto segments = static_cast<std::size_t>(std::count(path.begin(), path.end(), '.')) + 1;
    SIM_ASSERT(segments <= 255);
    if (segments == 2) result.push_back(kDual);
    if (segments > 2) {
        result.push_back(kMulti);
        result.push_back(static_cast<std::uint8_t>(segments));
    }
    for (std::size_t i = 0; i < segments; ++i) {
        const std::size_t dot = path.find('.');
        append_segment(result, path.substr(0, dot));
        path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
    }
    return result;
}

Aml integer(std::uint64_t value) {
    if (value == 0) return {kZero};
    if (value == 1) return {kOne};
    Aml result;
    if (value <= 0xff) {
        result.push_back(kByte);
        append_le(result, value, 1);
    } else if (value <= 0xffff) {
        result.push_back(kWord);
        append_le(result, value, 2);
    } else if (value <= 0xffffffff) {
        result.push_back(kDword);
        append_le(result, value, 4);
    } else {
        result.push_back(kQword);
        append_le(result, value, 8);
    }
    return result;
}

Aml string(std::string_view text) {
    Aml result{kString};
    for (const char c : text) {
        SIM_ASSERT(c >= 0x20 && c < 0x7f);
        result.push_back(static_cast<std::uint8_t>(c));
    }
    result.push_back(0);
    return result;
}

bool is_eisa_id(std::string_view id) noexcept {
    return id.size() == 7 &&
           std::all_of(id.begin(), id.begin() + 3, [](char c) { return c >= 'A' && c <= 'Z'; }) &&
           std::all_of(id.begin() + 3, id.end(), is_hex);
}

Aml eisa_id(std::string_view id) {
    SIM_ASSERT(is_eisa_id(id));
    // Three 5-bit letters, then four hexadecimal digits; big endian inside the little-endian word.
    std::uint32_t value = 0;
    for (const char c : id.substr(0, 3)) value = value << 5 | static_cast<std::uint32_t>(c - '@');
    for (const char c : id.substr(3))
        value = value << 4 | static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'A' + 10);
    Aml result{kDword};
    for (unsigned shift : {24u, 16u, 8u, 0u})
        result.push_back(static_cast<std::uint8_t>(value >> shift));
    return result;
}

Aml buffer(const Aml& bytes) {
    return block({kBuffer}, concat({integer(bytes.size()), bytes}));
}

Aml package(const std::vector<Aml>& elements) {
    SIM_ASSERT(elements.size() <= 255);
    Aml contents{static_cast<std::uint8_t>(elements.size())};
    for (const Aml& element : elements) append(contents, element);
    return block({kPackage}, contents);
}

Aml named(std::string_view name, const Aml& value) {
    return concat({{kName}, name_string(name), value});
}

Aml scope(std::string_view path, const Aml& terms) {
    return block({kScope}, concat({name_string(path), terms}));
}

Aml device(std::string_view name, const Aml& terms) {
    return block({kExtended, kDevice}, concat({name_string(name), terms}));
}

Aml method(std::string_view name, unsigned arguments, bool serialized, const Aml& terms) {
    SIM_ASSERT(arguments <= 7);
    const Aml flags{static_cast<std::uint8_t>(arguments | (serialized ? 8u : 0u))};
    return block({kMethod}, concat({name_string(name), flags, terms}));
}

Aml return_value(const Aml& value) {
    return concat({{kReturn}, value});
}

Aml resource_template(const Aml& descriptors) {
    // End tag (6.4.2.9); checksum 0: "treat as correct".
    return buffer(concat({descriptors, {0x79, 0x00}}));
}

Aml qword_memory(std::uint64_t base, std::uint64_t length, WindowUse use) {
    SIM_ASSERT(length > 0 && base + (length - 1) >= base);
    Aml result{0x8a, 0x2b, 0x00, 0x00};  // QWord address space (6.4.3.5.1), 43 bytes, memory
    // Maximum and minimum fixed, positive decode.
    result.push_back(static_cast<std::uint8_t>(0x0c | static_cast<unsigned>(use)));
    result.push_back(0x03);   // cacheable, read-write (6.4.3.5.5)
    append_le(result, 0, 8);  // granularity
    append_le(result, base, 8);
    append_le(result, base + (length - 1), 8);
    append_le(result, 0, 8);  // translation
    append_le(result, length, 8);
    return result;
}

Aml memory32_fixed(std::uint32_t base, std::uint32_t length) {
    Aml result{0x86, 0x09, 0x00, 0x01};  // 6.4.3.4, read-write
    append_le(result, base, 4);
    append_le(result, length, 4);
    return result;
}

Aml io_ports(std::uint16_t base, std::uint8_t length) {
    Aml result{0x47, 0x01};  // 6.4.2.5, 16-bit decode
    append_le(result, base, 2);
    append_le(result, base, 2);
    result.push_back(1);  // alignment
    result.push_back(length);
    return result;
}

Aml isa_irq(unsigned irq) {
    SIM_ASSERT(irq < 16);
    Aml result{0x22};  // 6.4.2.1 without the information byte
    append_le(result, std::uint64_t{1} << irq, 2);
    return result;
}

}  // namespace hvsim::devices::firmware::aml
