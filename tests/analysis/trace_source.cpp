#include "analysis/timeline/trace_source.h"

#include <doctest/doctest.h>
#include <zstd.h>

#include <fstream>

#include "sim/error.h"
#include "sim/trace_writer.h"

using namespace hvsim;
using namespace hvsim::analysis;
using sim::EventKind;

namespace {

std::filesystem::path scratch(const char* name) {
    return std::filesystem::path(HVSIM_BINARY_DIR) / name;
}

void write(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

/// A trace file as a program with the event table of `info` writes it, of one block.
std::vector<std::uint8_t> file_of(const sim::TraceInfo& info,
                                  const std::vector<sim::Event>& events) {
    std::vector<std::uint8_t> file = sim::encode_header(info);
    std::vector<std::uint8_t> plain(events.size() * sim::kTraceEventMax);
    sim::TraceContext context;
    std::uint8_t* end = plain.data();
    for (const sim::Event& event : events) end = sim::encode_event(context, event, end);
    plain.resize(static_cast<std::size_t>(end - plain.data()));
    std::vector<std::uint8_t> frame(ZSTD_compressBound(plain.size()));
    frame.resize(ZSTD_compress(frame.data(), frame.size(), plain.data(), plain.size(), 1));
    const auto put = [&](std::uint64_t value, unsigned size) {
        for (unsigned i = 0; i < size; ++i)
            file.push_back(static_cast<std::uint8_t>(value >> 8 * i));
    };
    file.insert(file.end(), sim::kTraceBlock.begin(), sim::kTraceBlock.end());
    put(frame.size(), 4);
    put(events.size(), 4);
    put(0, 8);
    put(sim::kNever, 8);
    file.insert(file.end(), frame.begin(), frame.end());
    return file;
}

std::string problem_of(const std::filesystem::path& path) {
    try {
        const TraceSource source(path);
    } catch (const sim::ConfigError& error) {
        return std::string(error.what()) + '|' + error.hint();
    }
    return {};
}

}  // namespace

TEST_CASE("a trace of another event table is read by names") {
    sim::TraceInfo info;
    info.scenario = "other";
    info.events = {{"from_the_future", sim::EventLevel::event, false, {"a", "b", "c", "d"}},
                   {"vm_exit", sim::EventLevel::event, false, {"rip", "", "colour", "reason"}},
                   {"scsi_request",
                    sim::EventLevel::event,
                    false,
                    {"transaction", "operation", "lba", "bytes"}}};
    info.names.add({1, 3}, 10, "CPUID");
    info.names.add({0, 0}, 1, "nobody asks");
    const auto path = scratch("other_table.trace");
    write(path, file_of(info, {{5, static_cast<EventKind>(0), {}, {1, 2, 3, 4}},
                               {6, static_cast<EventKind>(1), {0, 2, 0}, {0xabc, 7, 8, 10}},
                               {7, static_cast<EventKind>(2), {}, {1, 2, 3, 4}}}));
    TraceSource source(path);
    CHECK(source.has(EventKind::kVmExit));
    CHECK_FALSE(source.has(EventKind::kVmEntry));
    const auto exit = source.next();
    REQUIRE(exit);
    CHECK(exit->kind == EventKind::kVmExit);
    CHECK(exit->time == 6);
    CHECK(exit->arguments == std::array<std::uint64_t, 4>{10, 0, 0xabc, 0});
    CHECK(source.name_of(EventKind::kVmExit, 0, 10) == "CPUID");
    CHECK(source.name_of(EventKind::kVmExit, 0, 11) == "0xb");
    const auto request = source.next();
    REQUIRE(request);
    CHECK(request->kind == EventKind::kScsiRequest);
    CHECK(request->arguments == std::array<std::uint64_t, 4>{1, 2, 3, 4});
    CHECK_FALSE(source.next());
    CHECK(source.unknown() == 1);
    // There is no index behind the block.
    CHECK(source.end_text() == "the trace ends early, after 2 events");
}

TEST_CASE("files that are no trace this program reads") {
    const auto path = scratch("bad.trace");
    std::filesystem::remove(path);
    CHECK(problem_of(path).find("cannot be opened") != std::string::npos);
    write(path, {'#', '!', '/'});
    CHECK(problem_of(path) ==
          path.string() + " is not a trace file|hvsim run --trace FILE writes such a file");
    write(path, {});
    CHECK(problem_of(path).find("is not a trace file") != std::string::npos);
    std::vector<std::uint8_t> bytes = sim::encode_header({});
    bytes[8] = 99;
    write(path, bytes);
    CHECK(problem_of(path).find("of a version this program cannot read|use the hvsim") !=
          std::string::npos);
    bytes[8] = static_cast<std::uint8_t>(sim::kTraceVersion);
    bytes.back() ^= 1;
    write(path, bytes);
    CHECK(problem_of(path).find("has a damaged header") != std::string::npos);
    bytes.pop_back();
    write(path, bytes);
    CHECK(problem_of(path).find("ends within its header") != std::string::npos);
    std::filesystem::create_directories(scratch("folder.trace"));
    CHECK(problem_of(scratch("folder.trace")).find("cannot be opened") != std::string::npos);
}

TEST_CASE("a whole trace has nothing to tell of its end") {
    const auto path = scratch("whole.trace");
    {
        sim::TraceWriter writer(path, {});
        writer.on_event({1, EventKind::kConsole, {}, {'x', 0, 0, 0}});
        writer.finish();
    }
    TraceSource source(path);
    REQUIRE(source.next());
    CHECK_FALSE(source.next());
    CHECK(source.end_text().empty());
    CHECK(source.events() == 1);
}
