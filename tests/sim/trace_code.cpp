// Code bytes in a trace: those of the instruction that exits or fails, given once for each RIP as
// long as they stay the same.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/trace_reader.h"
#include "sim/trace_writer.h"

using namespace hvsim::sim;

namespace {

struct File {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / fmt::format("hvsim-test-{}-code", ::getpid());
    ~File() { std::filesystem::remove(path); }
};

Code code_of(std::initializer_list<std::uint8_t> bytes, std::uint8_t bits = 64) {
    Code code;
    code.bits = bits;
    code.size = static_cast<std::uint8_t>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), code.bytes.begin());
    return code;
}

Event exit_at(std::uint64_t rip) {
    return {kSecond, EventKind::kVmExit, {0, 2, 0}, {10, 0, rip, 0}};
}

/// What is read of the events that `write` wrote.
template <typename Write>
std::vector<std::optional<Code>> round_trip(const File& file, Write&& write) {
    {
        TraceWriter writer(file.path, {});
        write(writer);
        writer.finish();
    }
    auto opened = TraceReader::open(file.path);
    REQUIRE(std::holds_alternative<TraceReader>(opened));
    TraceReader& reader = std::get<TraceReader>(opened);
    std::vector<std::optional<Code>> codes;
    while (reader.next())
        codes.push_back(reader.code() ? std::optional(*reader.code()) : std::nullopt);
    CHECK(reader.status() == TraceStatus::complete);
    return codes;
}

const Code kCpuid = code_of({0x0f, 0xa2}), kHlt = code_of({0xf4});

}  // namespace

TEST_CASE("an event has the code that was given before it, one without has none") {
    const File file;
    const auto codes = round_trip(file, [](TraceWriter& writer) {
        for (const Code& code : {kCpuid, kCpuid, kHlt, code_of({}), kHlt}) {
            writer.on_code(code);
            writer.on_event(exit_at(0xffffffff81000000));
        }
        writer.on_event(exit_at(0xffffffff81000000));  // none given
        writer.on_code(kHlt);
        writer.on_event(exit_at(0x1000));
        writer.on_event({kSecond, EventKind::kVmEntry, {0, 2, 0}, {0, 0, 0x1000, 0}});
    });
    const std::vector<std::optional<Code>> expected{kCpuid, kCpuid,       kHlt, std::nullopt,
                                                    kHlt,   std::nullopt, kHlt, std::nullopt};
    CHECK(codes == expected);
}

TEST_CASE("code of any size and mode comes back, in each block of a trace") {
    const File file;
    const auto code_at = [](std::uint64_t i) {
        Code code;
        code.bits = i % 3 == 0 ? 16 : i % 3 == 1 ? 32 : 64;
        code.size = static_cast<std::uint8_t>(i % 16);
        for (unsigned byte = 0; byte < code.size; ++byte)
            code.bytes[byte] = static_cast<std::uint8_t>(i * 7 + byte);
        return code;
    };
    // More places than the writer remembers, and more events than a block has.
    constexpr std::uint64_t kPlaces = 3000, kEvents = kTraceBlockEvents + 5000;
    const auto codes = round_trip(file, [&](TraceWriter& writer) {
        for (std::uint64_t i = 0; i < kEvents; ++i) {
            writer.on_code(code_at(i % kPlaces));
            writer.on_event(exit_at(0x400000 + 0x1000 * (i % kPlaces)));
        }
    });
    REQUIRE(codes.size() == kEvents);
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < kEvents; ++i) {
        const Code expected = code_at(i % kPlaces);
        if (expected.size == 0 ? codes[i].has_value() : codes[i] != expected) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("code that repeats costs nothing") {
    const File file;
    const auto bytes_of = [&file](bool with_code) {
        TraceWriter writer(file.path, {});
        for (std::uint64_t i = 0; i < 1000; ++i) {
            if (with_code) writer.on_code(kCpuid);
            writer.on_event(exit_at(0x1000 + i % 4));
        }
        writer.finish();
        return writer.bytes();
    };
    CHECK(bytes_of(true) <= bytes_of(false) + 64);
}

TEST_CASE("only exits that are traced are asked for their code, failures always") {
    struct Sink final : EventSink {
        void on_event(const Event&) override {}
    } sink;
    const File file;
    TraceWriter writer(file.path, {});
    Recorder recorder;
    CHECK_FALSE(recorder.wants_code());
    recorder.set_sink(&sink, EventLevel::event);
    CHECK_FALSE(recorder.wants_code());
    recorder.set_sink(&writer, EventLevel::event);
    CHECK(recorder.wants_code());
}

TEST_CASE("code is no part of the digest") {
    Recorder plain, with_code;
    const File file;
    TraceWriter writer(file.path, {});
    with_code.set_sink(&writer, EventLevel::event);
    for (Recorder* recorder : {&plain, &with_code}) {
        recorder->give_code(kCpuid);
        recorder->record(EventKind::kVmExit, kSecond, {0, 2, 0}, 10, 0, 0x1000);
    }
    CHECK(plain.digest().hex() == with_code.digest().hex());
}

TEST_CASE("code that no writer writes is damage") {
    TraceContext context;
    for (const std::vector<std::uint8_t>& bytes :
         {std::vector<std::uint8_t>{0x7f, 0x02, 0x35, 0x90},  // 3: no such mode
          std::vector<std::uint8_t>{0x7f, 0x02, 0x22, 0x90},  // ends early
          std::vector<std::uint8_t>{0x7f}}) {
        ByteParser in(bytes);
        CHECK_FALSE(decode_code(context, in));
        CHECK_FALSE(in.ok());
    }
    const std::vector<std::uint8_t> good{0x7f, 0x02, 0x22, 0x0f, 0xa2};
    ByteParser in(good);
    const auto at = decode_code(context, in);
    REQUIRE(at);
    CHECK(at->rip == 1);
    CHECK(at->code == kCpuid);
}
