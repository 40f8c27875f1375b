#include "cpu/value_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cpu/descriptor.h"

namespace hvsim::cpu {
namespace {

// SDM 3A 2.5.
constexpr BitName kCr0Bits[] = {{0, "PE"},  {1, "MP"},  {2, "EM"},  {3, "TS"},
                                {4, "ET"},  {5, "NE"},  {16, "WP"}, {18, "AM"},
                                {29, "NW"}, {30, "CD"}, {31, "PG"}};
constexpr BitName kCr4Bits[] = {
    {0, "VME"},   {1, "PVI"},   {2, "TSD"},   {3, "DE"},        {4, "PSE"},         {5, "PAE"},
    {6, "MCE"},   {7, "PGE"},   {8, "PCE"},   {9, "OSFXSR"},    {10, "OSXMMEXCPT"}, {11, "UMIP"},
    {12, "LA57"}, {13, "VMXE"}, {14, "SMXE"}, {16, "FSGSBASE"}, {17, "PCIDE"},      {18, "OSXSAVE"},
    {20, "SMEP"}, {21, "SMAP"}, {22, "PKE"},  {23, "CET"},      {24, "PKS"}};
constexpr BitName kEferBits[] = {{0, "SCE"},   {8, "LME"},    {10, "LMA"},   {11, "NXE"},
                                 {12, "SVME"}, {13, "LMSLE"}, {14, "FFXSR"}, {15, "TCE"}};
// SDM 1 3.4.3; bit 1 is always set.
constexpr BitName kRflagsBits[] = {{0, "CF"},   {1, ""},    {2, "PF"},  {4, "AF"},  {6, "ZF"},
                                   {7, "SF"},   {8, "TF"},  {9, "IF"},  {10, "DF"}, {11, "OF"},
                                   {14, "NT"},  {16, "RF"}, {17, "VM"}, {18, "AC"}, {19, "VIF"},
                                   {20, "VIP"}, {21, "ID"}};
constexpr std::array<std::string_view, 32> kVectors{
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "",    "#TS",
    "#NP", "#SS", "#GP", "#PF", "",    "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    "",    "",    "",    "",    "",    "",    "#HV", "#VC", "#SX", ""};

void append(std::string& text, std::string_view word, std::string_view separator) {
    if (word.empty()) return;
    if (!text.empty()) text += separator;
    text += word;
}

template <typename Row>
std::string_view name_of(std::span<const Row> names, unsigned bit, bool& known) {
    const auto found =
        std::find_if(names.begin(), names.end(), [bit](const Row& row) { return row.bit == bit; });
    known = found != names.end();
    return known ? found->name : std::string_view{};
}

template <typename Row>
std::string join_bits(std::span<const Row> names, std::uint64_t value, std::string_view separator) {
    std::string text;
    for (unsigned bit = 0; bit < 64; ++bit) {
        if (!(value >> bit & 1)) continue;
        bool known = false;
        const std::string_view name = name_of(names, bit, known);
        append(text, known ? std::string(name) : fmt::format("bit {}", bit), separator);
    }
    return text.empty() ? "none" : text;
}

template <typename Row>
std::string refused(std::span<const Row> names, std::uint64_t value, std::uint64_t must_be_one,
                    std::uint64_t may_be_one) {
    std::string text;
    for (unsigned bit = 0; bit < 64; ++bit) {
        const bool one = (value >> bit & 1) != 0;
        const bool refused = one ? !(may_be_one >> bit & 1) : (must_be_one >> bit & 1) != 0;
        if (!refused) continue;
        bool known = false;
        const std::string_view name = name_of(names, bit, known);
        const std::string label =
            known ? fmt::format("bit {} ({})", bit, name) : fmt::format("bit {}", bit);
        append(text, fmt::format("{} must be {}", label, one ? 0 : 1), ", ");
    }
    return text;
}

}  // namespace

std::string bits_text(std::span<const BitName> names, std::uint64_t value) {
    return join_bits(names, value, " ");
}
std::string bits_text(std::span<const Control> names, std::uint64_t value) {
    return join_bits(names, value, ", ");
}

std::span<const BitName> cr0_bits() noexcept {
    return kCr0Bits;
}
std::span<const BitName> cr4_bits() noexcept {
    return kCr4Bits;
}
std::string cr0_text(std::uint64_t value) {
    return bits_text(kCr0Bits, value);
}
std::string cr4_text(std::uint64_t value) {
    return bits_text(kCr4Bits, value);
}
std::string efer_text(std::uint64_t value) {
    return bits_text(kEferBits, value);
}

std::string rflags_text(std::uint64_t value) {
    const std::uint64_t iopl = (value & rflags::kIOPL) >> 12;
    std::string text = bits_text(kRflagsBits, value & ~rflags::kIOPL);
    if (iopl == 0) return text;
    if (text == "none") text.clear();
    append(text, fmt::format("IOPL {}", iopl), " ");
    return text;
}

std::string vector_text(std::uint64_t vector) {
    if (vector < kVectors.size() && !kVectors[vector].empty()) return std::string(kVectors[vector]);
    return fmt::format("vector {}", vector);
}

std::string access_rights_text(std::uint32_t rights) {
    std::string text =
        fmt::format("type {} {} DPL {}", ar::TYPE::get(rights),
                    ar::S::test(rights) ? "code or data" : "system", ar::DPL::get(rights));
    constexpr BitName kRest[] = {{7, "P"},       {8, "bit 8"}, {9, "bit 9"},
                                 {10, "bit 10"}, {12, "AVL"},  {13, "L"},
                                 {14, "D/B"},    {15, "G"},    {16, "unusable"}};
    const std::uint32_t rest = rights & ~std::uint32_t{0x7f};
    if (rest != 0) append(text, bits_text(kRest, rest), " ");
    return text;
}

std::string refused_bits_text(std::span<const Control> names, std::uint64_t value,
                              std::uint64_t must_be_one, std::uint64_t may_be_one) {
    return refused(names, value, must_be_one, may_be_one);
}
std::string refused_bits_text(std::span<const BitName> names, std::uint64_t value,
                              std::uint64_t must_be_one, std::uint64_t may_be_one) {
    return refused(names, value, must_be_one, may_be_one);
}

}  // namespace hvsim::cpu
