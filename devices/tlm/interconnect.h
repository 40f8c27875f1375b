#pragma once
// The board's address decoder: one for memory, one for port I/O.
#include <tlm_utils/multi_passthrough_initiator_socket.h>
#include <tlm_utils/multi_passthrough_target_socket.h>

#include <cstdint>
#include <map>
#include <string>
#include <systemc>
#include <tlm>
#include <vector>

#include "sim/statistics.h"
#include "sim/time.h"

namespace hvsim::devices::tlm_shell {

/// What an access finds where nothing is mapped.
enum class Unmapped : std::uint8_t {
    float_high,  ///< reads give all ones, writes vanish, response OK: a PC
    error,       ///< TLM_ADDRESS_ERROR_RESPONSE
};

/// Part of an address space, leading to one target.
struct Mapping {
    std::string name;
    std::uint64_t base = 0;
    std::uint64_t size = 0;           ///< bytes, at least 1
    std::uint64_t target_offset = 0;  ///< where `base` lies within the target
    sim::Duration latency = 0;        ///< added to the delay of every access
};

/// Routes transactions by address. Initiators bind to `initiators` (any number, processors and the
/// IOMMU's upstream side); map() binds a target. What it hands on is the payload that it got, with
/// the address made relative to the target, so a plain TLM module may stand between the two and
/// sees everything. An access that crosses the end of a mapping is split there.
class Interconnect : public sc_core::sc_module, public sim::StatisticsSource {
  public:
    using TargetSocket =
        tlm::tlm_base_target_socket_b<32, tlm::tlm_fw_transport_if<>, tlm::tlm_bw_transport_if<>>;

    tlm_utils::multi_passthrough_target_socket<Interconnect> initiators{"initiators"};

    /// `label` names the statistics ("bus.memory").
    Interconnect(const sc_core::sc_module_name& name, std::string label,
                 Unmapped unmapped = Unmapped::float_high);

    /// Before elaboration. The same target may have several mappings. ConfigError if the range is
    /// empty, wraps around or overlaps an earlier one.
    void map(const Mapping& mapping, TargetSocket& target);

    /// In address order.
    std::vector<Mapping> mappings() const;
    void collect(sim::StatisticsSink& sink) const override;

  private:
    struct Entry {
        Mapping mapping;
        int target;  // index of the binding of targets_
        std::uint64_t last() const noexcept { return mapping.base + (mapping.size - 1); }
    };
    /// What an address leads to: a mapping or a hole, and the last address of it.
    struct Decoded {
        const Entry* entry;
        std::uint64_t first;
        std::uint64_t last;
    };

    void b_transport(int initiator, tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
    unsigned transport_dbg(int initiator, tlm::tlm_generic_payload& payload);
    bool get_direct_mem_ptr(int initiator, tlm::tlm_generic_payload& payload, tlm::tlm_dmi& dmi);
    void invalidate_direct_mem_ptr(int target, sc_dt::uint64 first, sc_dt::uint64 last);

    Decoded decode(std::uint64_t address) const;
    void forward(const Entry& entry, tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
    void answer_unmapped(tlm::tlm_generic_payload& payload);
    void split(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
    void check(const Mapping& mapping) const;

    tlm_utils::multi_passthrough_initiator_socket<Interconnect> targets_{"targets"};
    std::string label_;
    Unmapped unmapped_;
    std::map<std::uint64_t, Entry> entries_;  // by first address
    std::vector<TargetSocket*> bound_;        // in order of binding
    std::uint64_t reads_ = 0;
    std::uint64_t writes_ = 0;
    std::uint64_t unmapped_reads_ = 0;
    std::uint64_t unmapped_writes_ = 0;
};

}  // namespace hvsim::devices::tlm_shell
