#pragma once
// Which accesses of a partition's processors its parent wants to see (HvCallInstallIntercept).
#include <array>
#include <bitset>
#include <cstdint>
#include <map>

#include "hypervisor-model/spec/intercept_messages.h"
#include "hypervisor-model/spec/status.h"

namespace hvsim::hv {

class InterceptTable {
  public:
    /// Installs, changes or (mask 0) removes one. Parameters: port; first port [15:0] and last port
    /// [31:16]; MSR (0: all that the hypervisor does not know); CPUID leaf; vector.
    HvStatus install(InterceptType type, std::uint32_t access, std::uint64_t parameter);
    /// Entries that take memory.
    std::size_t entries() const noexcept;

    bool io_port(std::uint16_t port, bool write) const noexcept {
        return (write ? io_write_ : io_read_).test(port);
    }
    bool msr(std::uint32_t index, bool write) const;
    bool cpuid(std::uint32_t leaf) const { return cpuid_.contains(leaf); }
    bool exception(std::uint8_t vector) const noexcept {
        return vector < 32 && (exceptions_ >> vector & 1) != 0;
    }
    std::uint32_t exceptions() const noexcept { return exceptions_; }
    bool apic_eoi() const noexcept { return apic_eoi_; }

  private:
    std::bitset<65536> io_read_, io_write_;
    std::map<std::uint32_t, std::uint32_t> msrs_;   // access mask by MSR
    std::uint32_t all_msrs_ = 0;                    // parameter 0: every MSR the hypervisor has not
    std::map<std::uint32_t, std::uint32_t> cpuid_;  // by leaf
    std::uint32_t exceptions_ = 0;
    bool apic_eoi_ = false;
};

}  // namespace hvsim::hv
