#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/error.h"
#include "sim/trace_reader.h"
#include "sim/trace_writer.h"

using namespace hvsim::sim;

namespace {

class TemporaryFile {
  public:
    explicit TemporaryFile(const char* name)
        : path_(std::filesystem::temp_directory_path() /
                fmt::format("hvsim-test-{}-{}", ::getpid(), name)) {}
    ~TemporaryFile() { std::filesystem::remove(path_); }
    const std::filesystem::path& path() const { return path_; }

    std::vector<char> read() const {
        std::ifstream in(path_, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write(const std::vector<char>& bytes, std::size_t size) const {
        std::ofstream out(path_, std::ios::binary | std::ios::trunc);
        out.write(bytes.data(), static_cast<std::streamsize>(size));
    }

  private:
    std::filesystem::path path_;
};

const std::string kResult = R"({"digest": "0123456789abcdef", "met": true})";

TraceInfo test_info() {
    TraceInfo info;
    info.scenario = "scenarios/linux-disk.toml";
    info.program_version = "0.1.0";
    info.start_date = -5;
    info.names.add(EventKind::kVmExit, 0, 10, "CPUID");
    info.names.add(EventKind::kVmExit, 0, ~std::uint64_t{0}, "last");
    info.inputs.settings = {"host.vendor=\"amd\"", ""};
    info.inputs.files = {{"vm[0].kernel", "a folder/kernel", std::string(64, 'f')}};
    return info;
}

/// A pseudo-random but fixed sequence with every kind, equal, growing, shrinking and extreme
/// values.
std::vector<Event> test_events(std::size_t count) {
    std::vector<Event> events;
    std::uint64_t state = 1;
    const auto draw = [&state] {
        return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33;
    };
    Time time = kSecond;
    for (std::size_t i = 0; i < count; ++i) {
        Event event;
        time += draw() % 3000000;
        event.time = time - (i % 7 == 0 ? draw() % 1000000 : 0);  // another processor's clock
        event.kind = static_cast<EventKind>(draw() % static_cast<unsigned>(EventKind::kCount));
        if (draw() % 3 != 0) event.subject.lp = static_cast<std::uint16_t>(draw() % 4);
        if (draw() % 3 != 0) event.subject.partition = static_cast<std::uint16_t>(draw());
        if (draw() % 3 != 0) event.subject.vp = static_cast<std::uint16_t>(draw() % 300);
        for (std::uint64_t& argument : event.arguments) switch (draw() % 5) {
                case 0:
                    argument = 0;
                    break;
                case 1:
                    argument = draw() % 256;
                    break;
                case 2:
                    argument = 0xffffffff81000000 + draw() % 4096;
                    break;
                case 3:
                    argument = ~std::uint64_t{0};
                    break;
                default:
                    argument = draw() << 31 ^ draw();
                    break;
            }
        events.push_back(event);
    }
    return events;
}

bool same(const Event& a, const Event& b) {
    return a.time == b.time && a.kind == b.kind && a.subject.lp == b.subject.lp &&
           a.subject.partition == b.subject.partition && a.subject.vp == b.subject.vp &&
           a.arguments == b.arguments;
}

std::size_t matching(TraceReader& reader, const std::vector<Event>& expected) {
    std::size_t count = 0;
    while (const auto event = reader.next()) {
        if (count == expected.size() || !same(*event, expected[count])) return expected.size() + 1;
        ++count;
    }
    return count;
}

void write_trace(const std::filesystem::path& path, const std::vector<Event>& events) {
    TraceWriter writer(path, test_info());
    for (const Event& event : events) writer.on_event(event);
    writer.set_result(kResult);
    writer.finish();
}

}  // namespace

TEST_CASE("a trace gives back every event, its header and its end") {
    const TemporaryFile file("round-trip");
    const std::vector<Event> events = test_events(3 * kTraceBlockEvents + 17);
    write_trace(file.path(), events);
    auto opened = TraceReader::open(file.path());
    REQUIRE(std::holds_alternative<TraceReader>(opened));
    TraceReader& reader = std::get<TraceReader>(opened);
    CHECK(reader.info().scenario == "scenarios/linux-disk.toml");
    CHECK(reader.info().start_date == -5);
    CHECK(reader.info().names == test_info().names);
    CHECK(reader.info().inputs == test_info().inputs);
    REQUIRE(reader.info().events.size() == kEventTable.size());
    CHECK(reader.info().events[1].name == "vm_exit");
    CHECK(reader.info().events[1].arguments[3] == "guest_physical");
    CHECK(matching(reader, events) == events.size());
    CHECK(reader.status() == TraceStatus::complete);
    CHECK(!reader.next());
    CHECK(reader.result() == kResult);
}

TEST_CASE("a trace of a run that did not end has no result") {
    const TemporaryFile file("no-result");
    const std::vector<Event> events = test_events(5);
    {
        TraceWriter writer(file.path(), test_info());
        for (const Event& event : events) writer.on_event(event);
    }
    auto opened = TraceReader::open(file.path());
    REQUIRE(std::holds_alternative<TraceReader>(opened));
    TraceReader& reader = std::get<TraceReader>(opened);
    CHECK(matching(reader, events) == events.size());
    CHECK(reader.status() == TraceStatus::complete);
    CHECK(reader.result().empty());
}

TEST_CASE("an empty trace is complete") {
    const TemporaryFile file("empty");
    write_trace(file.path(), {});
    auto opened = TraceReader::open(file.path());
    REQUIRE(std::holds_alternative<TraceReader>(opened));
    CHECK(!std::get<TraceReader>(opened).next());
    CHECK(std::get<TraceReader>(opened).status() == TraceStatus::complete);
}

TEST_CASE("the same events give the same bytes, and the header's are golden") {
    const TemporaryFile first("same-1"), second("same-2");
    const std::vector<Event> events = test_events(100);
    write_trace(first.path(), events);
    write_trace(second.path(), events);
    CHECK(first.read() == second.read());
    const std::vector<char> bytes = first.read();
    CHECK(std::string_view(bytes.data(), 12) == std::string_view("HVSIMTRC\x03\0\0\0", 12));
    CHECK(std::string_view(bytes.data() + 16, 26) == "\x19scenarios/linux-disk.toml");
    CHECK(std::string_view(bytes.data() + 42, 6) ==
          "\x05"
          "0.1.0");
    CHECK(bytes[48] == 9);  // zigzag(-5)
}

TEST_CASE("an event's encoding is golden") {
    TraceContext context;
    std::array<std::uint8_t, kTraceEventMax> buffer{};
    const Event event{300, EventKind::kVmExit, {0, 1, kNoUnit}, {10, 0, 0x1000, 0}};
    std::uint8_t* end = encode_event(context, event, buffer.data());
    const std::vector<std::uint8_t> expected{
        0x01, 0x01, 0x02, 0x00,  // vm_exit, lp 0, partition 1, no vp
        0x33, 0xd8, 0x04,        // arguments: value, zero, value, zero; time +300
        0x0a, 0x80, 0x20};       // 10, 0x1000
    CHECK(std::vector<std::uint8_t>(buffer.data(), end) == expected);
    Event next = event;
    next.time = 299;
    next.arguments = {10, 0, 0x1008, 0};
    end = encode_event(context, next, buffer.data());
    const std::vector<std::uint8_t> second{0x81, 0x21, 0x01, 0x10};
    CHECK(std::vector<std::uint8_t>(buffer.data(), end) == second);
}

TEST_CASE("a trace cut at any byte gives the whole events before the cut") {
    const TemporaryFile file("cut");
    const std::vector<Event> events = test_events(60);
    write_trace(file.path(), events);
    const std::vector<char> bytes = file.read();
    const TemporaryFile cut("cut-2");
    std::size_t most = 0, before = 0;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(size);
        cut.write(bytes, size);
        auto opened = TraceReader::open(cut.path());
        if (const auto* problem = std::get_if<TraceProblem>(&opened)) {
            const bool expected = size == 0 ? *problem == TraceProblem::foreign
                                            : *problem == TraceProblem::truncated_header;
            REQUIRE(expected);
            REQUIRE(most == 0);
            continue;
        }
        TraceReader& reader = std::get<TraceReader>(opened);
        const std::size_t count = matching(reader, events);
        REQUIRE(count <= events.size());
        REQUIRE(count >= before);
        REQUIRE(reader.status() == TraceStatus::truncated);
        before = count;
        most = std::max(most, count);
    }
    CHECK(most == events.size());  // when only the index is missing
}

TEST_CASE("a trace with any byte changed never gives more events and never crashes") {
    const TemporaryFile file("flip");
    const std::vector<Event> events = test_events(60);
    write_trace(file.path(), events);
    const std::vector<char> bytes = file.read();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        CAPTURE(i);
        std::vector<char> changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ 0x41);
        file.write(changed, changed.size());
        auto opened = TraceReader::open(file.path());
        if (std::holds_alternative<TraceProblem>(opened)) continue;
        TraceReader& reader = std::get<TraceReader>(opened);
        std::size_t count = 0;
        while (reader.next()) ++count;
        REQUIRE(count <= events.size());
        REQUIRE(reader.status() != TraceStatus::reading);
    }
}

TEST_CASE("files that are no trace of this version are told apart") {
    const TemporaryFile file("foreign");
    CHECK(std::get<TraceProblem>(TraceReader::open(file.path())) == TraceProblem::cannot_open);
    const std::string text = "[host]\nvendor = \"intel\"\n";
    file.write({text.begin(), text.end()}, text.size());
    CHECK(std::get<TraceProblem>(TraceReader::open(file.path())) == TraceProblem::foreign);
    write_trace(file.path(), {});
    std::vector<char> bytes = file.read();
    bytes[8] = 1;
    file.write(bytes, bytes.size());
    CHECK(std::get<TraceProblem>(TraceReader::open(file.path())) == TraceProblem::other_version);
    bytes[8] = 3;
    bytes[20] ^= 1;
    file.write(bytes, bytes.size());
    CHECK(std::get<TraceProblem>(TraceReader::open(file.path())) == TraceProblem::damaged_header);
}

TEST_CASE("limiting to a range skips blocks outside it") {
    const TemporaryFile file("range");
    std::vector<Event> events;
    for (std::uint64_t i = 0; i < 2 * kTraceBlockEvents + 5; ++i)
        events.push_back({i * kMicrosecond, EventKind::kConsole, {}, {i, 0, 0, 0}});
    write_trace(file.path(), events);
    auto opened = TraceReader::open(file.path());
    REQUIRE(std::holds_alternative<TraceReader>(opened));
    TraceReader& reader = std::get<TraceReader>(opened);
    reader.limit_to((kTraceBlockEvents + 3) * kMicrosecond, (kTraceBlockEvents + 9) * kMicrosecond);
    const auto first = reader.next();
    REQUIRE(first);
    CHECK(first->arguments[0] == kTraceBlockEvents);
    std::size_t count = 1;
    while (reader.next()) ++count;
    CHECK(count == kTraceBlockEvents);
    CHECK(reader.status() == TraceStatus::complete);
}

TEST_CASE("a file that cannot be written is reported once, at the end") {
    CHECK_THROWS_AS(TraceWriter("/nonexistent/folder/file", test_info()), ConfigError);
    if (!std::filesystem::exists("/dev/full")) return;
    TraceWriter writer("/dev/full", test_info());
    for (const Event& event : test_events(10)) writer.on_event(event);
    CHECK_THROWS_AS(writer.finish(), ConfigError);
}
