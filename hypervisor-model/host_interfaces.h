#pragma once
// What partitions and virtual processors need from the side that runs them on logical processors
// (scheduler, VM entry and exit) and from the simulated host's processor model.
#include <cstdint>
#include <vector>

#include "hypervisor-model/spec/hypercall_structs.h"
#include "hypervisor-model/spec/identity.h"
#include "hypervisor-model/spec/status.h"
#include "sim/time.h"

namespace hvsim::hv {

class Partition;
class VirtualProcessor;
class VpContext;

struct CpuidResult {
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    bool operator==(const CpuidResult&) const = default;
};

/// The scheduler's ear: an event that may make a virtual processor runnable, or that a running one
/// has to notice, arrives at `at`. May be called when nothing changed.
class VpWaker {
  public:
    virtual ~VpWaker() = default;
    virtual void wake(VirtualProcessor& vp, sim::Time at) = 0;
};

/// One virtual processor's share of a flush hypercall.
struct FlushRequest {
    enum class Scope : std::uint8_t { everything, address_space, pages };
    Scope scope = Scope::everything;
    bool non_global_only = false;
    std::uint64_t address_space = 0;  ///< CR3 of the space; meaningless for `everything`
    std::uint64_t first_linear = 0;   ///< scope pages: page-aligned
    std::uint64_t page_count = 0;     ///< scope pages, 4 KiB
};

/// Translation caches of virtual processors, wherever they run or last ran.
class TlbShootdown {
  public:
    virtual ~TlbShootdown() = default;
    /// Linear translations of `target` go before the caller's next instruction.
    virtual void flush(VirtualProcessor& target, const FlushRequest& request, sim::Time now) = 0;
    /// A guest-physical mapping lost a right or changed its page (INVEPT, INVLPGA by ASID).
    virtual void flush_guest_physical(Partition& partition) = 0;
};

/// Makes and ends the processor-side half of a virtual processor.
class VpBackendFactory {
  public:
    virtual ~VpBackendFactory() = default;
    /// The register state of a new virtual processor, owned by the backend until destroy_vp. Takes
    /// control structures (VMCS, VMCB, bitmaps) from the partition's memory pool; nullptr: the pool
    /// is too small, nothing was taken.
    virtual VpContext* create_vp(Partition& partition, VirtualProcessor& vp) = 0;
    virtual void destroy_vp(VirtualProcessor& vp) = 0;
};

/// CPUID of the host's processor, before a partition's masks and a virtual processor's identity.
class HostCpuid {
  public:
    virtual ~HostCpuid() = default;
    virtual CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) const = 0;
};

/// Times of one logical processor, in 100 ns units.
struct LpRunTimes {
    std::uint64_t run_time = 0;         ///< guests and hypervisor
    std::uint64_t hypervisor_time = 0;  ///< hypervisor alone
};

class LogicalProcessors {
  public:
    virtual ~LogicalProcessors() = default;
    virtual std::uint32_t count() const = 0;
    /// `index` < count().
    virtual LpRunTimes run_times(std::uint32_t index, sim::Time now) const = 0;
};

/// Interrupts of devices that are assigned to partitions.
class DeviceInterrupts {
  public:
    virtual ~DeviceInterrupts() = default;
    /// HvCallRetargetDeviceInterrupt, checked as far as the hypervisor knows. `processors`: who may
    /// get the interrupt from now on, ascending.
    virtual HvStatus retarget(Partition& owner, const hc::RetargetInterrupt& request,
                              const std::vector<VirtualProcessor*>& processors) = 0;
};

}  // namespace hvsim::hv
