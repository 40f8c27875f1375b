// The page of a run: sums over time, phases, what is collected from events, and the file itself.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "analysis/page/page.h"
#include "analysis/page/phases.h"
#include "analysis/page/run_profile.h"
#include "analysis/timeline/timeline.h"
#include "sim/error.h"
#include "sim/trace_writer.h"

using namespace hvsim;
using namespace hvsim::analysis;
using sim::EventKind;

namespace {

constexpr sim::Subject kGuest{0, 2, 0}, kRoot{0, 1, 0};

sim::Event event(sim::Time time, EventKind kind, sim::Subject subject, std::uint64_t a = 0,
                 std::uint64_t b = 0, std::uint64_t c = 0, std::uint64_t d = 0) {
    return {time, kind, subject, {a, b, c, d}};
}

class TemporaryFile {
  public:
    explicit TemporaryFile(const char* name)
        : path_(std::filesystem::temp_directory_path() /
                fmt::format("hvsim-page-{}-{}", ::getpid(), name)) {}
    ~TemporaryFile() { std::filesystem::remove(path_); }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

ConsoleLine line(sim::Time begin, const char* text, std::uint16_t partition = 2) {
    return {{0, partition, 0}, begin, begin + 10, text};
}

}  // namespace

TEST_CASE("bins keep their sums when they become wider") {
    TimeBins bins(10);
    const std::size_t count = bins.add_series(), time = bins.add_series();
    bins.add(count, 0, 3);
    bins.add(count, 10 * TimeBins::kMostBins - 1, 4);
    bins.add_span(time, 5, 25);
    CHECK(bins.width() == 10);
    CHECK(bins.values(time)[0] == 5);
    CHECK(bins.values(time)[1] == 10);
    CHECK(bins.values(time)[2] == 5);
    bins.add_span(time, 10 * TimeBins::kMostBins, 10 * TimeBins::kMostBins + 1);
    CHECK(bins.width() == 20);
    CHECK(bins.values(count)[0] == 3);
    CHECK(bins.values(count)[TimeBins::kMostBins / 2 - 1] == 4);
    CHECK(bins.values(time)[0] == 15);
    CHECK(bins.values(time)[1] == 5);
    CHECK(bins.values(time)[TimeBins::kMostBins / 2] == 1);
    CHECK(bins.count(41) == 3);
    bins.add(count, sim::kNever - 1, 1);
    std::uint64_t sum = 0;
    for (const std::uint64_t value : bins.values(count)) sum += value;
    CHECK(sum == 8);
}

TEST_CASE("phases go from mark to mark of the same console") {
    const std::vector<ConsoleLine> lines{
        line(5, "nothing"),
        line(10, "[    0.000000] Linux version 6.1.0 (x)"),
        line(20, "[    0.1] smp: Brought up 1 node, 1 CPU"),
        line(22, "HVSIM: working", 3),
        line(40, "HVSIM: second thing"),
    };
    const std::vector<Phase> phases = find_phases(lines, 100);
    REQUIRE(phases.size() == 4);
    CHECK(phases[0].name == "Linux: early start");
    CHECK(phases[0].begin == 10);
    CHECK(phases[0].end == 20);
    CHECK(phases[1].end == 40);
    CHECK(phases[2].name == "working");
    CHECK(phases[2].end == 100);
    CHECK(phases[3].end == 100);
    std::vector<ConsoleLine> many(1000, line(1, "HVSIM: again"));
    CHECK(find_phases(many, 2).size() == 100);
}

TEST_CASE("time of virtual processors, rates and latencies are collected") {
    RunProfile profile;
    Timeline timeline(profile);
    const sim::Event events[] = {
        event(0, EventKind::kVmEntry, kGuest),
        event(100, EventKind::kVmExit, kGuest, 12),
        event(110, EventKind::kVpRun, kGuest, 0, 2, 110),
        event(500, EventKind::kInterrupt, {}, 0x50, 7),
        event(520, EventKind::kInterruptAccepted, {0, sim::kNoUnit, sim::kNoUnit}, 0x50, 5),
        event(530, EventKind::kVpRun, kRoot, 1, 0, 10),
        event(535, EventKind::kVmEntry, kRoot),
        event(600, EventKind::kSynicEvent, kGuest, 2, 1, 9),
        event(640, EventKind::kVmExit, kRoot, 12),
        event(650, EventKind::kVpRun, kRoot, 0, 2, 120),
        event(660, EventKind::kVpRun, kGuest, 1, 0, 60),
        event(670, EventKind::kInterruptAccepted, kGuest, 0xf3, 6),
        event(680, EventKind::kVmEntry, kGuest),
        event(700, EventKind::kVmExit, kGuest, 10),
    };
    for (const sim::Event& one : events) timeline.on_event(one);
    timeline.finish();

    const auto& guest = profile.vps().at({2, 0});
    CHECK(guest.guest == 100 + 20);
    CHECK(guest.waited == 60);
    CHECK(guest.by_reason.at(12) == 10);
    CHECK(profile.vps().at({1, 0}).guest == 105);
    CHECK(profile.end() == 700);
    const auto& bins = profile.bins();
    CHECK(bins.values(profile.rate_series(RunProfile::kExits))[0] == 3);
    CHECK(bins.values(profile.rate_series(RunProfile::kInterrupts))[0] == 2);
    const auto& modes = profile.processors().at(0).modes;
    CHECK(bins.values(modes[static_cast<std::size_t>(ProcessorMode::idle)])[0] == 410);
    CHECK(profile.latency(RunProfile::kDeviceToHost).percentiles().greatest == 20);
    CHECK(profile.latency(RunProfile::kSynicToGuest).percentiles().greatest == 70);
}

TEST_CASE("a request's stages add up to the whole") {
    ChannelRequest request;
    request.signalled = 100;
    request.noticed = 130;
    request.taken = 140;
    request.scsi = true;
    request.provider_begin = 140;
    request.provider_end = 300;
    request.answered = 310;
    request.interrupted = 350;
    const auto stages = stages_of(request);
    sim::Duration sum = 0;
    for (const sim::Duration stage : stages) sum += stage;
    CHECK(sum == request.end() - request.begin());
    CHECK(stages[static_cast<std::size_t>(Stage::disk)] == 160);
    CHECK(stages[static_cast<std::size_t>(Stage::provider)] == 10);

    RunProfile profile;
    for (std::uint64_t i = 1; i <= 3 * RunProfile::kSlowest; ++i) {
        request.number = i;
        request.interrupted = 350 + i;
        profile.on_request(request);
    }
    REQUIRE(profile.slowest().size() == RunProfile::kSlowest);
    CHECK(profile.slowest().front().number == 3 * RunProfile::kSlowest);
    CHECK(profile.operations().at(0).total.count() == 3 * RunProfile::kSlowest);
}

TEST_CASE(
    "what a guest prints cannot leave the page's data, and nothing is loaded from elsewhere") {
    const TemporaryFile file("hostile");
    {
        sim::TraceInfo info;
        info.scenario = "</script><script>alert(1)</script>";
        sim::TraceWriter writer(file.path(), info);
        for (const char c : std::string("</script><!-- \xff\xfe @STYLE@ @DATA@\n"))
            writer.on_event(event(5, EventKind::kConsole, kGuest, static_cast<std::uint8_t>(c)));
        writer.finish();
    }
    const Page page = make_page(file.path());
    CHECK(page.warning.empty());
    const std::size_t begin = page.html.find("id=\"data\">");
    REQUIRE(begin != std::string::npos);
    const std::size_t end = page.html.find("</script>", begin);
    const std::string data = page.html.substr(begin + 10, end - begin - 10);
    CHECK(data.find('<') == std::string::npos);
    CHECK(data.find("alert(1)") != std::string::npos);
    CHECK(data.ends_with("}"));
    CHECK(page.html.find("src=\"") == std::string::npos);
    CHECK(page.html.find("href=\"http") == std::string::npos);
    CHECK(page.html.ends_with("</html>\n"));
}

TEST_CASE("a result that is not this program's is an error of the file") {
    const TemporaryFile file("result");
    {
        sim::TraceWriter writer(file.path(), {});
        writer.set_result(R"({"format": "hvsim-run", "statistics": 7})");
        writer.finish();
    }
    CHECK_THROWS_AS(make_page(file.path()), sim::ConfigError);
    CHECK_THROWS_AS(make_page(file.path().string() + ".absent"), sim::ConfigError);
}
