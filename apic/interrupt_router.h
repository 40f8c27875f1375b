#pragma once
// Finds the local APICs that an interrupt message is for (SDM 3A 11.6.2, 11.12.10).
#include <cstdint>
#include <optional>
#include <vector>

#include "apic/local_apic.h"

namespace hvsim::apic {

class InterruptRouter {
  public:
    /// The APICs in index order; they outlive the router.
    explicit InterruptRouter(std::vector<LocalApic*> apics) : apics_(std::move(apics)) {}

    /// Replaces `targets` by the indices of the APICs that the message goes to, ascending.
    /// Arbitrated messages go to one: of the software-enabled matches the one with the lowest
    /// arbitration priority, among equals the lowest index. (Processors are free in their choice,
    /// SDM 3A 11.6.2.4; this one depends on nothing but their state.)
    void resolve(const InterruptMessage& message, InterruptSource source,
                 std::vector<std::uint32_t>& targets) const;

    /// resolve(), and every target accepts the message at `now`. Returns how many took it.
    unsigned deliver(const InterruptMessage& message, InterruptSource source, sim::Time now);

    std::size_t size() const noexcept { return apics_.size(); }
    LocalApic& at(std::size_t index) const { return *apics_.at(index); }

  private:
    bool is_target(const LocalApic& apic, const InterruptMessage& message,
                   InterruptSource source) const noexcept;

    std::vector<LocalApic*> apics_;
};

}  // namespace hvsim::apic
