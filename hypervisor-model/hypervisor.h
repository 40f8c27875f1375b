#pragma once
// The hypervisor as a whole: its partitions, and what they share.
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "hypervisor-model/host_interfaces.h"
#include "hypervisor-model/page_ownership.h"
#include "hypervisor-model/partition.h"
#include "sim/ram.h"
#include "sim/recorder.h"
#include "sim/statistics.h"

namespace hvsim::hv {

enum class Vendor : std::uint8_t { intel, amd };

/// Smallest memory that lets a root partition start.
inline constexpr std::uint64_t kMinimumReservedPages = 64;

struct HypervisorConfig {
    Vendor vendor = Vendor::intel;
    std::uint64_t tsc_hz = 2'500'000'000;
    std::uint64_t apic_timer_hz = 25'000'000;
    unsigned physical_address_bits = 46;
    std::uint32_t max_vps = 240;  ///< of one partition, at most 2048
    unsigned max_depth = 1;       ///< generations below the root
    // CPUID 0x40000002
    std::uint32_t major_version = 10, minor_version = 0, build = 20348, service_pack = 0,
                  service_branch = 0, service_number = 1;
    /// Pages of system memory the hypervisor keeps from the root partition from boot on: the root
    /// partition's pool.
    std::uint64_t first_reserved_page = 0, reserved_pages = 0;
    unsigned reps_per_slice = 128;  ///< a rep hypercall lets interrupts in after so many
    PartitionFeatures root_features{.privileges = kRootPrivileges};
    PartitionFeatures guest_features{};
};

/// The other side of the hypervisor; all outlive it.
struct HypervisorServices {
    sim::Ram& ram;
    sim::Recorder& recorder;
    VpWaker& waker;
    TlbShootdown& shootdown;
    VpBackendFactory& backend;
    const HostCpuid& cpuid;
    const LogicalProcessors& processors;
};

class Hypervisor final : public sim::StatisticsSource {
  public:
    /// Makes the root partition, active, its guest-physical space the identity of system memory
    /// without the reserved pages. Throws ConfigError when these do not fit.
    Hypervisor(const HypervisorConfig& config, const HypervisorServices& services);
    ~Hypervisor() override;

    const HypervisorConfig& config() const noexcept { return config_; }
    const HypervisorServices& services() const noexcept { return services_; }
    sim::Ram& ram() const noexcept { return services_.ram; }
    sim::Recorder& recorder() const noexcept { return services_.recorder; }
    PageOwnership& pages() noexcept { return pages_; }

    /// Who answers for assigned devices (not owned; nullptr: there are none).
    DeviceInterrupts* device_interrupts() const noexcept { return device_interrupts_; }
    void set_device_interrupts(DeviceInterrupts* devices) noexcept { device_interrupts_ = devices; }

    Partition& root() noexcept { return *partitions_.begin()->second; }
    /// nullptr: no such partition.
    Partition* find(PartitionId id);
    /// Ascending ids.
    std::vector<Partition*> partitions() const;

    /// Charges `parent`'s pool. `created` gets the new partition.
    HvStatus create_partition(Partition& parent, Partition*& created, sim::Time now);
    /// The partition is created or finalized, childless and its pool empty.
    HvStatus delete_partition(Partition& partition, sim::Time now);
    PartitionId next_child(PartitionId parent, PartitionId previous) const;

    void collect(sim::StatisticsSink& sink) const override;

  private:
    HypervisorConfig config_;
    HypervisorServices services_;
    PageOwnership pages_;
    std::map<PartitionId, std::unique_ptr<Partition>> partitions_;
    PartitionId next_id_ = 1;
    DeviceInterrupts* device_interrupts_ = nullptr;
};

}  // namespace hvsim::hv
