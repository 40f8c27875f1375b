#pragma once
// A partition: identity, privileges and properties, life cycle, memory, virtual processors, ports
// and connections (TLFS 2, 5, 6).
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "apic/interrupt_router.h"
#include "hypervisor-model/gpa_space.h"
#include "hypervisor-model/intercepts.h"
#include "hypervisor-model/memory_pool.h"
#include "hypervisor-model/ports.h"
#include "hypervisor-model/reference_time.h"
#include "hypervisor-model/spec/cpuid.h"
#include "hypervisor-model/spec/hypercall_structs.h"
#include "hypervisor-model/spec/privileges.h"
#include "hypervisor-model/virtual_processor.h"

namespace hvsim::hv {

/// `deleted` occurs in the trace only.
enum class PartitionState : std::uint8_t { created, active, finalized, deleted };

/// Guest-visible interface of a partition; fixed once it is initialized.
struct PartitionFeatures {
    PrivilegeMask privileges = kGuestPrivileges;
    std::uint32_t features = cpuid::kXmmInput | cpuid::kFrequencyMsrs | cpuid::kGuestCrashMsrs |
                             cpuid::kDirectTimers | cpuid::kGuestIdleAvailable |
                             cpuid::kSintPolling;
    std::uint32_t hints = cpuid::kRemoteFlush | cpuid::kApicMsrs | cpuid::kRelaxedTiming |
                          cpuid::kAutoEoiDeprecated | cpuid::kClusterIpi |
                          cpuid::kExtendedProcessorMasks;
    std::uint32_t long_spin_count = cpuid::kNeverNotify;
    bool tsc_page_valid = true;  ///< false: sequence 0, guests read the counter MSR
    bool x2apic = true;
    bool eoi_assist = true;  ///< offer "no EOI required" in the VP assist page
    bool nested = false;     ///< VMX or SVM visible to the guest
};

/// What a guest left in the crash MSRs when it set the notify bit.
struct GuestCrash {
    std::array<std::uint64_t, 5> parameters{};
    std::uint64_t control = 0;
    VpIndex vp = 0;
    sim::Time time = 0;
};

/// Scheduling properties (CpuReserve, CpuCap: 0x10000 is one whole processor for each VP).
struct SchedulingProperties {
    std::uint64_t reserve = 0, cap = 0, weight = 100, group = 0;
};

class Partition final : public apic::InterruptFabric,
                        public apic::EoiSink,
                        public GpaChangeListener {
  public:
    Partition(Hypervisor& hypervisor, PartitionId id, PartitionId parent, unsigned depth,
              const PartitionFeatures& features, sim::Time created);
    ~Partition() override;
    Partition(const Partition&) = delete;
    Partition& operator=(const Partition&) = delete;

    PartitionId id() const noexcept { return id_; }
    PartitionId parent() const noexcept { return parent_; }  ///< kInvalidPartition: the root
    bool is_root() const noexcept { return parent_ == kInvalidPartition; }
    unsigned depth() const noexcept { return depth_; }
    Hypervisor& hypervisor() const noexcept { return hypervisor_; }
    sim::Subject subject() const noexcept;

    // --- Life cycle ---
    PartitionState state() const noexcept { return state_; }
    bool active() const noexcept { return state_ == PartitionState::active; }
    HvStatus initialize(sim::Time now);
    HvStatus finalize(sim::Time now);
    /// All processors start anew as after RESET; hypervisor pages and messages go, mappings stay.
    void reset(sim::Time now);

    // --- Features and properties ---
    PrivilegeMask privileges() const noexcept { return features_.privileges; }
    bool has_privilege(Privilege privilege) const { return has(features_.privileges, privilege); }
    bool has_feature(std::uint32_t feature) const {
        return (features_.features & feature) == feature;
    }
    const PartitionFeatures& features() const noexcept { return features_; }
    PartitionFeatures& features() noexcept { return features_; }
    HvStatus get_property(std::uint32_t code, std::uint64_t& value, sim::Time now) const;
    HvStatus set_property(std::uint32_t code, std::uint64_t value, sim::Time now);
    bool suspended() const noexcept { return suspended_; }
    const SchedulingProperties& scheduling() const noexcept { return scheduling_; }
    bool ignore_unknown_msrs() const noexcept { return ignore_unknown_msrs_; }
    std::uint32_t processors_per_socket() const noexcept { return processors_per_socket_; }
    std::uint32_t apic_id_of(VpIndex index) const;

    // --- Memory ---
    MemoryPool& pool() noexcept { return pool_; }
    const MemoryPool& pool() const noexcept { return pool_; }
    GpaSpace& gpa_space() noexcept { return gpa_space_; }
    const GpaSpace& gpa_space() const noexcept { return gpa_space_; }

    // --- Virtual processors ---
    HvStatus create_vp(VpIndex index, sim::Time now);
    HvStatus delete_vp(VpIndex index);
    VirtualProcessor* vp(VpIndex index) noexcept {
        return index < vps_.size() ? vps_[index].get() : nullptr;
    }
    /// Existing processors, by index.
    const std::vector<VirtualProcessor*>& vps() const noexcept { return routed_; }
    std::uint32_t vp_count() const noexcept { return vp_count_; }
    VirtualProcessor* vp_by_apic_id(std::uint32_t apic_id) noexcept;

    // --- Clocks ---
    ReferenceTime& time() noexcept { return time_; }
    const ReferenceTime& time() const noexcept { return time_; }

    // --- Ports and connections ---
    std::map<PortId, Port>& ports() noexcept { return ports_; }
    std::map<ConnectionId, Connection>& connections() noexcept { return connections_; }
    Port* port(PortId id);
    HvStatus create_port(PortId id, const Port& port);
    HvStatus delete_port(PortId id);
    HvStatus connect(ConnectionId id, const Connection& connection);
    HvStatus disconnect(ConnectionId id);
    HvStatus post_to_port(PortId id, const MessageSlot& message, sim::Time now);
    HvStatus signal_port(PortId id, std::uint16_t flag, sim::Time now, ConnectionId connection);

    const InterceptTable& intercepts() const noexcept { return intercepts_; }
    HvStatus install_intercept(InterceptType type, std::uint32_t access, std::uint64_t parameter);

    // --- Partition-wide MSRs ---
    std::uint64_t guest_os_id() const noexcept { return guest_os_id_; }
    void write_guest_os_id(std::uint64_t value);
    std::uint64_t hypercall_msr() const noexcept { return hypercall_msr_; }
    bool write_hypercall_msr(std::uint64_t value);  ///< false: #GP
    /// GUEST_OS_ID is set and the hypercall page is enabled.
    bool hypercalls_enabled() const noexcept;
    std::uint64_t reference_tsc_msr() const noexcept { return reference_tsc_msr_; }
    bool write_reference_tsc(std::uint64_t value);  ///< false: #GP
    /// Writes the page anew after a change of the clock, and invalidates it for good when some
    /// processor has its own TSC.
    void update_reference_tsc_page();
    void processor_changed_tsc();
    std::uint64_t tsc_invariant_control() const noexcept { return tsc_invariant_control_; }
    void set_tsc_invariant_control(std::uint64_t value) noexcept { tsc_invariant_control_ = value; }
    std::array<std::uint64_t, 5>& crash_parameters() noexcept { return crash_parameters_; }
    void notify_crash(std::uint64_t control, VpIndex vp, sim::Time now);
    const std::optional<GuestCrash>& crash() const noexcept { return crash_; }
    std::uint64_t reenlightenment_control() const noexcept { return reenlightenment_; }
    void set_reenlightenment_control(std::uint64_t value) noexcept { reenlightenment_ = value; }

    // --- Interrupts ---
    /// An interrupt message for this partition's processors (virtual IPIs, AssertVirtualInterrupt,
    /// devices). Returns how many took it.
    unsigned deliver(const apic::InterruptMessage& message, apic::InterruptSource source,
                     sim::Time now);
    /// HvCallAssertVirtualInterrupt.
    void assert_interrupt(const apic::InterruptMessage& message, sim::Time now);
    void send(const apic::InterruptMessage& message, apic::InterruptSource source,
              sim::Time now) override;
    void broadcast_eoi(std::uint8_t vector, sim::Time now) override;
    void gpa_space_changed() override;
    /// An I/O APIC emulated beside this partition that wants to hear EOIs (not owned).
    void set_eoi_sink(apic::EoiSink* sink) noexcept { eoi_sink_ = sink; }

    struct Counters {
        std::array<std::uint64_t, 128> hypercalls{};  ///< by row of the hypercall table
        std::uint64_t hypercall_continuations = 0, hypercall_ud = 0, unknown_hypercalls = 0;
        std::uint64_t messages_posted = 0, events_signaled = 0;
    };
    Counters& counters() noexcept { return counters_; }
    const Counters& counters() const noexcept { return counters_; }
    void collect(sim::StatisticsSink& sink) const;

  private:
    friend class Hypervisor;
    void set_state(PartitionState state, sim::Time now);
    void rebuild_router();
    VirtualProcessor* port_target(const Port& port);
    bool set_overlay(std::uint64_t& current, std::uint64_t value, std::uint64_t system_page,
                     GpaRights rights);
    void fill_hypercall_page();
    HvStatus set_privileges(std::uint64_t value);
    bool set_intercept_memory(std::size_t entries);
    void set_suspended(bool suspended, sim::Time now);
    void set_frozen(bool frozen, sim::Time now);

    Hypervisor& hypervisor_;
    PartitionId id_;
    PartitionId parent_;
    unsigned depth_;
    PartitionState state_ = PartitionState::created;
    PartitionFeatures features_;
    MemoryPool pool_;
    GpaSpace gpa_space_;
    ReferenceTime time_;
    std::vector<std::unique_ptr<VirtualProcessor>> vps_;
    std::uint32_t vp_count_ = 0;
    apic::InterruptRouter router_;
    std::vector<VirtualProcessor*> routed_;  // existing processors, as the router numbers them
    std::map<PortId, Port> ports_;
    std::map<ConnectionId, Connection> connections_;
    InterceptTable intercepts_;
    std::size_t charged_intercepts_ = 0;
    apic::EoiSink* eoi_sink_ = nullptr;

    std::uint64_t parent_page_ = 0;  // of the parent's pool: this object
    std::vector<std::uint64_t> own_pages_;
    std::uint64_t hypercall_page_ = 0, reference_tsc_page_ = 0;
    std::uint64_t guest_os_id_ = 0, hypercall_msr_ = 0, reference_tsc_msr_ = 0;
    std::uint64_t tsc_invariant_control_ = 0, reenlightenment_ = 0;
    std::array<std::uint64_t, 5> crash_parameters_{};
    std::optional<GuestCrash> crash_;
    bool own_tsc_somewhere_ = false;

    bool suspended_ = false;
    bool ignore_unknown_msrs_ = false;
    SchedulingProperties scheduling_;
    std::uint32_t processors_per_socket_ = 0;
    std::uint64_t zero_memory_on_reset_ = 0;
    std::uint64_t compatibility_version_ = 0;
    Counters counters_;
};

}  // namespace hvsim::hv
