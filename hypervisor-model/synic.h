#pragma once
// The synthetic interrupt controller of one virtual processor (TLFS 11): sixteen SINTs, message
// queues in front of the SIMP page, event flags in the SIEFP page.
#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "hypervisor-model/spec/msr.h"
#include "hypervisor-model/spec/synic.h"
#include "sim/ram.h"
#include "sim/time.h"

namespace hvsim::hv {

/// What a SynIC tells its virtual processor.
class SynicClient {
  public:
    virtual ~SynicClient() = default;
    /// A fixed, edge-triggered interrupt for this processor's local APIC.
    virtual void raise_sint(unsigned sint, std::uint8_t vector, sim::Time now) = 0;
    /// A message went into its slot; `port` as queued (0: none).
    virtual void message_delivered(unsigned sint, const MessageSlot& message, PortId port,
                                   sim::Time now) = 0;
    /// Builds the message of an expired timer at the moment of its delivery, and ends its wait.
    virtual MessageSlot take_timer_message(unsigned timer, sim::Time now) = 0;
};

class Synic {
  public:
    /// kept: SynIC or SIEFP is off; the flag will be set when both are on.
    enum class Signal { newly_set, already_set, kept };

    Synic(sim::Ram& ram, SynicClient& client) : ram_(ram), client_(client) { reset(); }

    /// Power-up state; queued messages are dropped.
    void reset();

    // Registers. The page registers' effect on the guest-physical space is the owner's business:
    // `page` is the system physical address of the hypervisor's page.
    std::uint64_t scontrol() const noexcept { return scontrol_; }
    void set_scontrol(std::uint64_t value, sim::Time now);
    std::uint64_t simp() const noexcept { return simp_; }
    void set_simp(std::uint64_t value, sim::Time now);
    std::uint64_t siefp() const noexcept { return siefp_; }
    void set_siefp(std::uint64_t value, sim::Time now);
    std::uint64_t sint(unsigned index) const noexcept { return sints_[index]; }
    /// False: reserved bits, or a vector below 16 neither masked nor polled (#GP).
    bool set_sint(unsigned index, std::uint64_t value, sim::Time now);
    void set_pages(std::uint64_t simp_page, std::uint64_t siefp_page) noexcept {
        simp_page_ = simp_page;
        siefp_page_ = siefp_page;
    }

    /// Queues a message behind those already waiting for this SINT and delivers what can be
    /// delivered. `port`: id of the port it came through, 0 for the hypervisor's own.
    void post(unsigned sint, const MessageSlot& message, PortId port, sim::Time now);
    /// Queues the place of a timer message, to be built when its turn has come.
    void post_timer(unsigned sint, unsigned timer, sim::Time now);
    /// Takes a timer's waiting message out again.
    void cancel_timer(unsigned timer);
    void drop_port(PortId port);
    /// Ports of the messages that wait, one entry a message.
    std::vector<PortId> waiting_ports() const;
    /// Messages of `port` that wait for the guest.
    std::size_t queued_for(unsigned sint) const noexcept { return queues_[sint].size(); }
    bool anything_queued() const noexcept { return queued_ != 0; }

    Signal signal(unsigned sint, unsigned flag, sim::Time now);

    /// End of message (MSR EOM) and end of interrupt: tries every queue again.
    void retry(sim::Time now);

    /// Some unmasked SINT with AutoEOI uses this vector.
    bool auto_eoi(std::uint8_t vector) const noexcept { return auto_eoi_.test(vector); }

    struct Counters {
        std::uint64_t messages = 0, messages_delayed = 0, events = 0, events_already_set = 0,
                      events_kept = 0;
    };
    const Counters& counters() const noexcept { return counters_; }

  private:
    struct Queued {
        MessageSlot message;
        PortId port = 0;
        std::optional<std::uint8_t> timer;
    };
    void signal_kept(sim::Time now);
    void try_deliver(unsigned sint, sim::Time now);
    void interrupt(unsigned sint, sim::Time now);
    bool messages_enabled(unsigned sint) const noexcept;
    std::uint64_t slot_address(unsigned sint) const noexcept {
        return simp_page_ + std::uint64_t{sint} * kMessageSize;
    }

    sim::Ram& ram_;
    SynicClient& client_;
    std::uint64_t scontrol_ = 0, simp_ = 0, siefp_ = 0;
    std::uint64_t simp_page_ = 0, siefp_page_ = 0;
    std::array<std::uint64_t, kSintCount> sints_{};
    std::array<std::deque<Queued>, kSintCount> queues_;
    std::size_t queued_ = 0;
    std::set<std::pair<unsigned, unsigned>> kept_flags_;  // SINT, flag
    std::bitset<256> auto_eoi_;
    Counters counters_;
};

}  // namespace hvsim::hv
