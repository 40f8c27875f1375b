#include "app/console_input.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <iterator>

#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::app;

namespace {

void print(ScriptedInput& input, std::string_view text, sim::Time time, std::size_t console = 0) {
    for (const char c : text) input.on_byte(console, static_cast<std::uint8_t>(c), time);
}

/// All bytes that are there until `end`, each with its time.
std::string typed(ConsoleInput& input, std::size_t console, sim::Time end) {
    std::string text;
    for (sim::Time time = input.next_deadline(console); time <= end;
         time = input.next_deadline(console)) {
        CHECK(!input.next(console, time - 1));
        const auto byte = input.next(console, time);
        REQUIRE(byte);
        text += fmt::format("{}@{} ", static_cast<char>(*byte), time);
    }
    return text;
}

Scenario scenario_with(std::vector<ConsoleInputConfig> inputs) {
    Scenario scenario;
    scenario.vms.resize(2);
    scenario.vms[0].name = std::string("a");
    scenario.vms[1].name = std::string("b");
    scenario.console.inputs = std::move(inputs);
    return scenario;
}

class TemporaryFile {
  public:
    explicit TemporaryFile(std::string_view text = "")
        : path_(std::filesystem::temp_directory_path() /
                fmt::format("hvsim-test-{}-keys", ::getpid())) {
        std::ofstream(path_) << text;
    }
    ~TemporaryFile() { std::filesystem::remove(path_); }
    const std::filesystem::path& path() const { return path_; }
    std::string read() const {
        std::ifstream in(path_);
        return {std::istreambuf_iterator<char>(in), {}};
    }

  private:
    std::filesystem::path path_;
};

std::string error_of(std::string_view recording) {
    const TemporaryFile file(recording);
    try {
        ReplayedInput input(file.path(), 1);
    } catch (const sim::ConfigError& error) {
        const std::string_view text = error.what();
        return fmt::format("{}: {}", error.where().line, text.substr(text.rfind(": ") + 2));
    }
    return "no error";
}

}  // namespace

TEST_CASE("texts are typed after their patterns, at their pace, on their console") {
    ScriptedInput input(scenario_with({{"", "login:", "ab", 10},
                                       {"b", "$ ", "x", 0},
                                       {"", "login:", "c", 5},
                                       {"", "re:^done$", "d", 1}}));
    CHECK(typed(input, 0, sim::kNever - 1).empty());
    print(input, "host login: login:", 100);  // the second prompt comes before the text: not seen
    CHECK(typed(input, 0, 1000) == "a@110 b@120 ");
    CHECK(typed(input, 1, 1000).empty());
    print(input, "\nlogin:", 200);
    CHECK(typed(input, 0, 1000) == "c@205 ");
    print(input, "done", 300);
    CHECK(input.next_deadline(0) == sim::kNever);
    print(input, "\r\n", 301);
    CHECK(typed(input, 0, 1000) == "d@302 ");
    print(input, "$ ", 400, 1);
    CHECK(typed(input, 1, 1000) == "x@400 ");
    print(input, "login:", 500);
    CHECK(input.next_deadline(0) == sim::kNever);
}

TEST_CASE("what is recorded is replayed at the same times") {
    const TemporaryFile file;
    ScriptedInput script(scenario_with({{"", "go", "a\n", 10}, {"b", "go", "z", 7}}));
    print(script, "go", 100, 0);
    print(script, "go", 110, 1);
    {
        RecordingInput recording(script, file.path());
        CHECK(recording.next(0, 110) == 'a');
        CHECK(!recording.next(0, 111));
        CHECK(recording.next(1, 118) == 'z');
        CHECK(recording.next(0, 125) == '\n');
    }
    CHECK(file.read() == "hvsim console input 1\n110 0 61\n118 1 7a\n125 0 0a\n");
    ReplayedInput replayed(file.path(), 2);
    CHECK(replayed.end() == 125);
    CHECK(replayed.next_deadline(0) == 110);
    CHECK(!replayed.next(0, 109));
    CHECK(replayed.next(0, 110) == 'a');
    CHECK(replayed.next(0, 1000) == '\n');
    CHECK(!replayed.next(0, 1000));
    CHECK(replayed.next(1, 118) == 'z');
    CHECK(replayed.next_deadline(1) == sim::kNever);
}

TEST_CASE("recordings that are none") {
    CHECK(error_of("") == "1: this is no recorded input");
    CHECK(error_of("hvsim console input 2\n") == "1: this is no recorded input");
    const std::string head = "hvsim console input 1\n";
    CHECK(error_of(head + "5 0 61\n") == "no error");
    CHECK(error_of(head + "5 0\n") == "2: expected \"TIME CONSOLE BYTE\"");
    CHECK(error_of(head + "\n") == "2: expected \"TIME CONSOLE BYTE\"");
    CHECK(error_of(head + "5 0 100\n") == "2: expected \"TIME CONSOLE BYTE\"");
    CHECK(error_of(head + "5 0 61 \n") == "2: expected \"TIME CONSOLE BYTE\"");
    CHECK(error_of(head + "5 1 61\n") == "2: the scenario has no such console");
    CHECK(error_of(head + "5 0 61\n4 0 61\n") == "3: times must not go back");
    CHECK_THROWS_AS(ReplayedInput("/no/such/file", 1), sim::ConfigError);
}

TEST_CASE("sources together") {
    ScriptedInput first(scenario_with({{"", "x", "1", 10}}));
    ScriptedInput second(scenario_with({{"", "x", "2", 5}}));
    print(first, "x", 100);
    print(second, "x", 100);
    CombinedInput input;
    input.add(first);
    input.add(second);
    CHECK(typed(input, 0, 1000) == "2@105 1@110 ");
}

TEST_CASE("a keyboard and its recording are asked at the same times") {
    class Keys : public ConsoleInput {
      public:
        std::optional<std::uint8_t> next(std::size_t, sim::Time now) override {
            asked.push_back(now);
            return std::nullopt;
        }
        sim::Time next_deadline(std::size_t) const override { return sim::kNever; }
        std::vector<sim::Time> asked;
    };
    Keys keys;
    PolledInput polled(keys);
    CHECK(polled.next_deadline(0) == 0);
    CHECK(polled.next_deadline(1) == sim::kNever);
    polled.next(0, 0);
    CHECK(polled.next_deadline(0) == sim::kMillisecond);
    polled.next(0, 5);  // something else woke the machine: the source is asked, the times stay
    polled.next(1, 5 * sim::kMillisecond);
    CHECK(polled.next_deadline(0) == sim::kMillisecond);
    polled.next(0, 2 * sim::kMillisecond + 1);
    CHECK(polled.next_deadline(0) == 3 * sim::kMillisecond);
    CHECK(keys.asked.size() == 4);
}
