#include "app/control_block_file.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <ostream>

#include "sim/error.h"

namespace hvsim::app {
namespace {

bool parse_hexadecimal(std::string_view text, std::uint64_t& value) {
    if (!text.starts_with("0x")) return false;
    text.remove_prefix(2);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return error == std::errc{} && end == text.data() + text.size();
}

std::string_view take_word(std::string_view& line) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
    return word;
}

class Parser {
  public:
    explicit Parser(const std::filesystem::path& path) : path_(path), in_(path, std::ios::binary) {
        std::error_code error;
        if (!in_ || std::filesystem::is_directory(path, error))
            throw sim::ConfigError(fmt::format("{} cannot be opened", path.string()));
    }

    std::vector<DumpedBlock> parse() {
        std::string line;
        if (!next(line) || line != kControlBlockMagic) {
            line_ = 1;
            fail(fmt::format("expected \"{}\"", kControlBlockMagic),
                 "hvsim run --vmcs FILE writes such files");
        }
        while (next(line)) take(line);
        if (open_) fail(fmt::format("the file ends within dump {}", blocks_.back().number), {});
        return std::move(blocks_);
    }

  private:
    bool next(std::string& line) {
        ++line_;
        return static_cast<bool>(std::getline(in_, line));
    }

    [[noreturn]] void fail(const std::string& what, const std::string& hint) const {
        throw sim::ConfigError(fmt::format("{}:{}: {}", path_.string(), line_, what), hint);
    }

    void take(std::string_view line) {
        if (line.empty() || line.front() == '#') return;
        if (!open_) return begin(line);
        if (line == "[end]") {
            if (blocks_.back().fields.empty()) fail("a dump without fields", {});
            open_ = false;
            return;
        }
        if (line.find(" = ") != line.npos)
            property(line);
        else
            field(line);
    }

    void begin(std::string_view line) {
        constexpr std::string_view kStart = "[dump ";
        DumpedBlock block;
        std::string_view number = line;
        if (!line.starts_with(kStart) || !line.ends_with("]")) fail("expected [dump N]", {});
        number.remove_prefix(kStart.size());
        number.remove_suffix(1);
        const auto [end, error] =
            std::from_chars(number.data(), number.data() + number.size(), block.number);
        if (error != std::errc{} || end != number.data() + number.size())
            fail("expected [dump N]", {});
        blocks_.push_back(std::move(block));
        open_ = true;
    }

    void property(std::string_view line) {
        DumpedBlock& block = blocks_.back();
        const std::size_t equals = line.find(" = ");
        const std::string_view key = line.substr(0, equals);
        std::string_view value = line.substr(equals + 3);
        if (key == "block") {
            const std::string_view kind = take_word(value);
            block.is_vmcs = kind == "VMCS";
            if ((!block.is_vmcs && kind != "VMCB") || !parse_hexadecimal(value, block.address))
                fail("expected block = VMCS ADDRESS or block = VMCB ADDRESS", {});
        } else if (key == "occasion") {
            block.occasion = value;
        } else if (key == "wanted") {
            block.wanted = value;
        } else if (key == "time") {
            block.time = value;
        } else if (key == "processor") {
            block.processor = value;
        } else {
            fail(fmt::format("unknown property \"{}\"", key), {});
        }
    }

    void field(std::string_view line) {
        DumpedField field;
        field.name = take_word(line);
        const std::string_view number = take_word(line), digits = take_word(line);
        if (!parse_hexadecimal(number, field.number) || !parse_hexadecimal(digits, field.value))
            fail("expected a field: NAME 0xNUMBER 0xVALUE", {});
        field.digits = digits;
        while (line.starts_with(' ')) line.remove_prefix(1);
        field.meaning = line;
        blocks_.back().fields.push_back(std::move(field));
    }

    const std::filesystem::path& path_;
    std::ifstream in_;
    std::vector<DumpedBlock> blocks_;
    std::uint64_t line_ = 0;
    bool open_ = false;
};

/// The areas of SDM 3C 25.3 and APM 2 15.5.1.
std::string_view area_of(const DumpedBlock& block, const DumpedField& field) {
    constexpr std::string_view kAreas[] = {"controls", "exit information", "guest state",
                                           "host state"};
    if (block.is_vmcs) return kAreas[field.number >> 10 & 3];
    constexpr std::uint64_t kStateSaveArea = 0x400;
    return field.number < kStateSaveArea ? "control area" : "state save area";
}

const DumpedField* find_field(const DumpedBlock& block, std::uint64_t number) {
    const auto found = std::find_if(block.fields.begin(), block.fields.end(),
                                    [number](const auto& field) { return field.number == number; });
    return found == block.fields.end() ? nullptr : &*found;
}

/// The last dump of the same control block before blocks[index].
const DumpedBlock* dump_before(const std::vector<DumpedBlock>& blocks, std::size_t index) {
    const DumpedBlock& block = blocks[index];
    while (index-- > 0)
        if (blocks[index].is_vmcs == block.is_vmcs && blocks[index].address == block.address)
            return &blocks[index];
    return nullptr;
}

void print_block(const DumpedBlock& block, const DumpedBlock* before,
                 const BlockSelection& selection, std::ostream& out) {
    fmt::print(out, "dump {}: {} at {:#x}, {}, {}, {}\n", block.number,
               block.is_vmcs ? "VMCS" : "VMCB", block.address, block.occasion, block.time,
               block.processor);
    if (before != nullptr) fmt::print(out, "  differences from dump {}\n", before->number);
    std::size_t width = 0, digits = 0;
    for (const DumpedField& field : block.fields) {
        width = std::max(width, field.name.size());
        digits = std::max(digits, field.digits.size());
    }
    // In the order of areas; within one, that of the numbers.
    std::vector<std::string_view> areas;
    for (const DumpedField& field : block.fields)
        if (const auto area = area_of(block, field);
            std::find(areas.begin(), areas.end(), area) == areas.end())
            areas.push_back(area);
    for (const std::string_view area : areas) {
        bool heading = false;
        for (const DumpedField& field : block.fields) {
            if (area_of(block, field) != area) continue;
            if (field.name.find(selection.field) == field.name.npos) continue;
            const DumpedField* old = before ? find_field(*before, field.number) : nullptr;
            if (old != nullptr && old->value == field.value) continue;
            if (!heading) fmt::print(out, "  {}\n", area);
            heading = true;
            std::string line = fmt::format("    {:<{}}  {:#06x}  {:>{}}", field.name, width,
                                           field.number, field.digits, digits);
            if (old != nullptr) line += fmt::format("  was {:>{}}", old->digits, digits);
            if (!field.meaning.empty()) line += "  " + field.meaning;
            out << line << '\n';
        }
    }
}

}  // namespace

std::vector<DumpedBlock> read_control_blocks(const std::filesystem::path& path) {
    return Parser(path).parse();
}

void print_control_blocks(const std::vector<DumpedBlock>& blocks, const BlockSelection& selection,
                          std::ostream& out) {
    bool first = true;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        if (selection.dump && blocks[i].number != *selection.dump) continue;
        if (!first) out << '\n';
        first = false;
        print_block(blocks[i], selection.differences ? dump_before(blocks, i) : nullptr, selection,
                    out);
    }
}

}  // namespace hvsim::app
