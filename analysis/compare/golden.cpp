#include "analysis/compare/golden.h"

#include <fmt/format.h>

#include <charconv>
#include <functional>
#include <map>

#include "analysis/compare/intervals.h"
#include "analysis/compare/text_file.h"
#include "sim/error.h"

namespace hvsim::analysis {
namespace {

constexpr std::string_view kLastLine = "end";
constexpr std::size_t kSha256Digits = 64, kDigestDigits = 32;

bool is_hexadecimal(std::string_view text, std::size_t digits) {
    return text.size() == digits &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string_view take_word(std::string_view& line) {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(word.size() + 1, line.size()));
    return word;
}

/// Reads a golden line by line.
class GoldenParser {
  public:
    GoldenParser(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

    RunRecord parse() {
        run_.file = file_;
        run_.has_intervals = true;
        run_.numbers.keys_only = true;
        run_.inputs.emplace();
        check_first_line();
        for (; !ended_; parse_line()) next_line();
        if (!text_.empty()) fail("nothing may follow the line \"end\"", "");
        if (run_.digest.empty()) fail("there is no line \"digest\"", "");
        return std::move(run_);
    }

  private:
    [[noreturn]] void fail(const std::string& problem, std::string hint) const {
        throw sim::ConfigError({file_, number_, 1}, problem, std::move(hint));
    }
    [[noreturn]] void fail_form(std::string_view form) const {
        fail(fmt::format("expected \"{}\"", form), "--update-golden writes the file anew");
    }

    /// Makes the next line the current one. A file that ends before its last line is cut off.
    void next_line() {
        ++number_;
        const std::size_t end = text_.find('\n');
        if (end == std::string_view::npos)
            fail("the golden is cut off: it must end with the line \"end\"",
                 "--update-golden writes the file anew");
        line_ = text_.substr(0, end);
        text_.remove_prefix(end + 1);
    }

    void check_first_line() {
        if (!text_.starts_with(kGoldenMagic))
            throw sim::ConfigError(fmt::format("{} is not a golden", file_),
                                   "hvsim run --golden FILE --update-golden writes one");
        next_line();
        std::string_view words = line_;
        take_word(words);
        if (words == fmt::format("{}", kGoldenVersion)) return;
        throw sim::ConfigError({file_, number_, 1},
                               fmt::format("golden of version {}; this program reads version {}",
                                           words, kGoldenVersion),
                               "use the hvsim that wrote it, or --update-golden");
    }

    void parse_line() {
        std::string_view words = line_;
        const std::string_view key = take_word(words);
        if (key.empty() || key.starts_with('#')) return;
        if (key == kLastLine)
            ended_ = true;
        else if (key == "program")
            run_.program_version = words;
        else if (key == "scenario")
            run_.scenario = words;
        else if (key == "set")
            run_.inputs->settings.emplace_back(words);
        else if (key == "input")
            parse_input(words);
        else if (key == "ended")
            run_.end = words;
        else if (key == "digest")
            parse_digest(words);
        else if (key == "milliseconds")
            parse_intervals(words);
        else
            parse_number(key, words);
    }

    void parse_input(std::string_view words) {
        const std::string_view role = take_word(words), hash = take_word(words);
        if (role.empty() || !is_hexadecimal(hash, kSha256Digits))
            fail_form("input ROLE SHA256 FILE");
        run_.inputs->files.push_back({std::string(role), std::string(words), std::string(hash)});
    }

    void parse_digest(std::string_view words) {
        if (!is_hexadecimal(words, kDigestDigits)) fail_form("digest, then 32 hexadecimal digits");
        run_.digest = words;
    }

    void parse_intervals(std::string_view words) {
        if (!parse_interval_line(words, run_.intervals))
            fail_form("milliseconds FIRST, then at most ten digests of eight digits, or \".\"");
    }

    void parse_number(std::string_view key, std::string_view words) {
        for (const NumberGroup group :
             {NumberGroup::total, NumberGroup::table, NumberGroup::statistic}) {
            if (key != to_string(group)) continue;
            const std::string_view value = take_word(words), unit = take_word(words);
            Number number{group, std::string(words), 0, std::string(unit)};
            const auto [end, error] =
                std::from_chars(value.data(), value.data() + value.size(), number.value);
            if (error != std::errc{} || end != value.data() + value.size() || words.empty())
                fail_form(fmt::format("{} VALUE UNIT NAME", key));
            run_.numbers.numbers.push_back(std::move(number));
            return;
        }
        fail(fmt::format("unknown line \"{}\"", key), "docs/golden.md explains the lines");
    }

    std::string_view text_;
    std::string file_;
    std::string_view line_;
    std::uint32_t number_ = 0;
    bool ended_ = false;
    RunRecord run_;
};

std::string file_name(const std::string& path) {
    return std::filesystem::path(path).filename().string();
}

}  // namespace

std::string golden_text(const RunRecord& run) {
    std::string text = fmt::format("{} {}\n", kGoldenMagic, kGoldenVersion);
    text += "# How a run came out; `hvsim run --golden` holds another one against it.\n";
    text += fmt::format("program {}\nscenario {}\n", run.program_version, file_name(run.scenario));
    const sim::RunInputs inputs = run.inputs.value_or(sim::RunInputs{});
    for (const std::string& setting : inputs.settings) text += fmt::format("set {}\n", setting);
    for (const sim::RunInput& input : inputs.files)
        text += fmt::format("input {} {} {}\n", input.role, input.sha256, file_name(input.file));
    text += fmt::format("ended {}\ndigest {}\n", run.end, run.digest);
    for (const Number& number : run.numbers.numbers)
        if (is_key_number(number))
            text += fmt::format("{} {} {} {}\n", to_string(number.group), number.value,
                                number.unit.empty() ? "count" : number.unit, number.name);
    for (const std::string& line : interval_lines(run.intervals))
        text += fmt::format("milliseconds {}\n", line);
    return text + std::string(kLastLine) + '\n';
}

bool is_golden(const std::filesystem::path& file) {
    return read_text_file(file).starts_with(kGoldenMagic);
}

RunRecord parse_golden(std::string_view text, const std::string& file) {
    return GoldenParser(text, file).parse();
}

RunRecord read_golden(const std::filesystem::path& file) {
    return parse_golden(read_text_file(file), file.string());
}

}  // namespace hvsim::analysis
