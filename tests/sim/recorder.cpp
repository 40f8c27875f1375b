#include "sim/recorder.h"

#include <doctest/doctest.h>

using namespace hvsim::sim;

TEST_CASE("the digest depends on every field of an event and on nothing else") {
    const auto digest_of = [](Time time, std::uint16_t vp, std::uint64_t a) {
        Recorder recorder;
        recorder.record(EventKind::kVmExit, time, {0, 1, vp}, a);
        return recorder.digest().hex();
    };
    const std::string reference = digest_of(5, 0, 1);
    CHECK(reference == digest_of(5, 0, 1));
    CHECK(reference != digest_of(6, 0, 1));
    CHECK(reference != digest_of(5, 1, 1));
    CHECK(reference != digest_of(5, 0, 2));
}

TEST_CASE("a walk event reaches a sink that wants it and never the digest") {
    struct Sink : EventSink {
        int events = 0;
        void on_event(const Event&) override { ++events; }
    } sink;
    Recorder recorder;
    const std::string empty = recorder.digest().hex();
    recorder.set_sink(&sink, EventLevel::event);
    recorder.record(EventKind::kTlbFill, 1, {});
    CHECK(sink.events == 0);
    recorder.set_sink(&sink, EventLevel::walk);
    recorder.record(EventKind::kTlbFill, 2, {});
    CHECK(sink.events == 1);
    CHECK(recorder.digest().hex() == empty);
    CHECK(recorder.last_events().size() == 2);
}

TEST_CASE("intervals have the digest of all events up to them, in the order of the record") {
    Recorder recorder;
    CHECK(recorder.interval_digests().empty());
    Digest reference;
    const auto record = [&](Time time, std::uint64_t a) {
        recorder.record(EventKind::kVmExit, time, {0, 1, 0}, a);
        reference.add(Event{time, EventKind::kVmExit, {0, 1, 0}, {a, 0, 0, 0}});
        return reference.short_value();
    };
    record(5, 1);
    const std::uint32_t first = record(kMillisecond - 1, 2);
    CHECK(recorder.interval_digests() == std::vector<IntervalDigest>{{0, first}});
    record(kMillisecond, 3);
    // An event of a processor that lies behind counts where it was recorded.
    const std::uint32_t second = record(kMillisecond - 1, 4);
    // Nothing happens in milliseconds 2 to 4.
    const std::uint32_t last = record(5 * kMillisecond + 7, 5);
    const std::vector<IntervalDigest> all{{0, first}, {1, second}, {5, last}};
    CHECK(recorder.interval_digests() == all);
    // Asking changes nothing, and walk events do not count.
    recorder.record(EventKind::kTlbFill, 9 * kMillisecond, {});
    CHECK(recorder.interval_digests() == all);
    CHECK(recorder.digest().hex() == reference.hex());
    recorder.record(EventKind::kVmExit, kNever, {0, 1, 0}, 6);
    CHECK(recorder.interval_digests().back().interval == kNever / kMillisecond);
}

TEST_CASE("a sample reaches every sink and never the digest") {
    struct Sink : EventSink {
        int events = 0;
        void on_event(const Event&) override { ++events; }
    } sink;
    Recorder recorder;
    const std::string empty = recorder.digest().hex();
    CHECK_FALSE(recorder.wants_samples());
    recorder.set_sink(&sink, EventLevel::event);
    CHECK(recorder.wants_samples());
    recorder.record(EventKind::kProcessorSample, 1, {});
    recorder.set_sink(&sink, EventLevel::walk);
    recorder.record(EventKind::kIommuSample, 2, {});
    CHECK(sink.events == 2);
    CHECK(recorder.digest().hex() == empty);
}
