#pragma once
// What a timeline is drawn with: tracks with slices, instants and counters, in whatever file format
// the sink writes. Times are picoseconds of virtual time.
#include <cstdint>
#include <span>
#include <string_view>

#include "sim/time.h"

namespace hvsim::analysis {

enum class TrackId : std::uint32_t { none = 0 };
/// A string that the sink has been given once.
enum class StringId : std::uint32_t { none = 0 };

enum class TrackKind : std::uint8_t { group, slices, counter };

struct Track {
    TrackKind kind = TrackKind::slices;
    TrackId parent = TrackId::none;
    std::string_view name;
    /// How to read it, for viewers that show this.
    std::string_view description = {};
    std::string_view unit = {};  ///< of a counter
    std::int32_t rank = 0;       ///< siblings stand in its order
};

/// The name of a slice or instant: a string of the sink's, or, where that is none, this text.
struct Label {
    StringId id = StringId::none;
    std::string_view text = {};
};

/// A detail of a slice or instant.
struct Detail {
    enum class Form : std::uint8_t { decimal, hexadecimal, text };
    StringId name = StringId::none;
    Form form = Form::decimal;
    std::uint64_t value = 0;  ///< text: a StringId
};

/// Arrows from slice to slice, in the order of their times. A slice that belongs to a flow names
/// it.
struct Flow {
    enum class Step : std::uint8_t { first, middle, last };
    std::uint64_t id = 0;
    Step step = Step::middle;
};

struct Mark {
    Label label;
    std::span<const Detail> details = {};
    std::span<const Flow> flows = {};
};

/// Slices of one track nest: what begins within another one ends within it, too. Of slices that
/// begin at the same time the outer one must come first.
class TrackSink {
  public:
    virtual ~TrackSink() = default;

    virtual StringId string(std::string_view text) = 0;
    virtual TrackId add_track(const Track& track) = 0;
    virtual void slice(TrackId track, sim::Time begin, sim::Time end, const Mark& mark) = 0;
    /// A slice around others that come later; they end before close() on the same track.
    virtual void open(TrackId track, sim::Time begin, const Mark& mark) = 0;
    virtual void close(TrackId track, sim::Time end) = 0;
    virtual void instant(TrackId track, sim::Time time, const Mark& mark) = 0;
    virtual void counter(TrackId track, sim::Time time, std::int64_t value) = 0;
    virtual void counter(TrackId track, sim::Time time, double value) = 0;
    /// Nothing more comes: the file is completed.
    virtual void finish() = 0;
    /// Puts it in its place; without this nothing of it remains.
    virtual void commit() = 0;
};

}  // namespace hvsim::analysis
