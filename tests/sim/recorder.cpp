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
