#pragma once
// The run's memory: every event passes here, is folded into the digest and, when a trace is kept,
// handed on to its writer.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/event.h"

namespace hvsim::sim {

/// Receives the events of a run in order (a trace file, a test, a live view).
class EventSink {
  public:
    virtual ~EventSink() = default;
    virtual void on_event(const Event& event) = 0;
    /// Code of the event that comes next, which is one that has_code().
    virtual void on_code(const Code&) {}
    /// Wants the code of VM exits, too; that of failures comes always.
    virtual bool wants_code() const noexcept { return false; }
};

/// 128-bit XXH3 over canonical little-endian bytes; platform independent.
class Digest {
  public:
    Digest();
    ~Digest();
    Digest(const Digest&) = delete;
    Digest& operator=(const Digest&) = delete;
    void add_bytes(const void* data, std::size_t size);
    void add(std::uint64_t value);
    void add(const Event& event);
    /// 32 hexadecimal digits of everything added so far; adding may go on.
    std::string hex() const;
    /// The last eight of them.
    std::uint32_t short_value() const;

  private:
    void flush() const;
    struct State;
    std::unique_ptr<State> state_;
};

/// The digest of everything up to an interval of virtual time. An interval is over when an event of
/// a later one is recorded (times may step back by up to a quantum: the order of the record
/// counts); one without events has no digest.
struct IntervalDigest {
    std::uint64_t interval = 0;  ///< time divided by kDigestInterval
    std::uint32_t digest = 0;    ///< Digest::short_value()
    bool operator==(const IntervalDigest&) const = default;
};
inline constexpr Duration kDigestInterval = kMillisecond;

/// Takes the digests of intervals while events are added to a digest.
class IntervalDigests {
  public:
    /// To be called before the event of `time` is added to `digest`.
    void before(Time time, const Digest& digest) {
        if (time >= end_) close(time, digest);
    }
    /// All so far, the open interval's included.
    std::vector<IntervalDigest> up_to_now(const Digest& digest) const;

  private:
    void close(Time time, const Digest& digest);

    std::vector<IntervalDigest> closed_;
    Time end_ = 0;  // of the open interval; 0: none is open
};

class Recorder {
  public:
    /// Also sends events to `sink` (not owned; nullptr = none); `level`: walk = it wants those too.
    void set_sink(EventSink* sink, EventLevel level) noexcept {
        sink_ = sink;
        level_ = level;
        wants_code_ = sink != nullptr && sink->wants_code();
    }
    bool wants_walks() const noexcept { return sink_ != nullptr && level_ == EventLevel::walk; }
    bool wants_samples() const noexcept { return sink_ != nullptr; }

    /// Whether the code of VM exits is to be given.
    bool wants_code() const noexcept { return wants_code_; }
    /// The code at the RIP of the event that is recorded next.
    void give_code(const Code& code) {
        if (sink_ != nullptr) sink_->on_code(code);
    }

    void record(EventKind kind, Time time, Subject subject, std::uint64_t a = 0,
                std::uint64_t b = 0, std::uint64_t c = 0, std::uint64_t d = 0);

    std::uint64_t count(EventKind kind) const noexcept {
        return counts_[static_cast<std::size_t>(kind)];
    }
    Digest& digest() noexcept { return digest_; }
    /// Before anything but events is added to the digest.
    std::vector<IntervalDigest> interval_digests() const { return intervals_.up_to_now(digest_); }
    /// The newest events, oldest first (at most 32): the context of a failure.
    std::vector<Event> last_events() const;

  private:
    static constexpr std::size_t kKept = 32;
    Digest digest_;
    IntervalDigests intervals_;
    EventSink* sink_ = nullptr;
    EventLevel level_ = EventLevel::event;
    bool wants_code_ = false;
    std::array<std::uint64_t, static_cast<std::size_t>(EventKind::kCount)> counts_{};
    std::array<Event, kKept> ring_{};
    std::uint64_t recorded_ = 0;
};

}  // namespace hvsim::sim
