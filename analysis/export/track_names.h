#pragma once
// The strings of a timeline's tracks, each given to the sink once.
#include <cstdint>
#include <string>
#include <unordered_map>

#include "analysis/export/track_sink.h"
#include "analysis/timeline/spans.h"
#include "analysis/timeline/trace_source.h"

namespace hvsim::analysis {

class TrackNames {
  public:
    TrackNames(const TraceSource& source, TrackSink& sink);

    /// The detail for an event's argument: by name where the value has one.
    Detail argument(sim::EventKind kind, unsigned index, std::uint64_t value);
    /// Number of arguments of a kind.
    unsigned arguments(sim::EventKind kind) const {
        return kinds_[static_cast<std::size_t>(kind)].arguments;
    }
    StringId event(sim::EventKind kind) const {
        return kinds_[static_cast<std::size_t>(kind)].name;
    }
    /// "vmcall: HvCallPostMessage": the reason, and the call, register or port.
    Label exit(const ExitSpan& span);
    Label exit_reason(std::uint64_t reason);
    Detail decimal(const char* name, std::uint64_t value);

  private:
    /// A guest chooses many of the numbers. Of each kind of name so many become strings of the
    /// sink's.
    static constexpr std::size_t kMostNames = 4096;
    struct Argument {
        StringId name = StringId::none;
        bool named = false;
        bool decimal = false;
        std::unordered_map<std::uint64_t, StringId> values;  // only looked up, never gone through
    };
    struct Kind {
        StringId name = StringId::none;
        unsigned arguments = 0;
        std::array<Argument, 4> argument;
    };
    struct ExitKey {
        std::uint64_t reason, number;
        sim::EventKind intercept;
        bool operator==(const ExitKey&) const = default;
    };
    struct ExitHash {
        std::size_t operator()(const ExitKey& key) const noexcept {
            return static_cast<std::size_t>((key.reason * 0x9e3779b97f4a7c15u ^ key.number) *
                                                0x9e3779b97f4a7c15u >>
                                            (8 + static_cast<unsigned>(key.intercept)));
        }
    };

    const TraceSource& source_;
    TrackSink& sink_;
    std::array<Kind, static_cast<std::size_t>(sim::EventKind::kCount)> kinds_;
    std::unordered_map<ExitKey, StringId, ExitHash> exits_;
    std::string text_;
};

}  // namespace hvsim::analysis
