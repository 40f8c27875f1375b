#include "hypervisor-model/intercepts.h"

namespace hvsim::hv {
namespace {

template <typename Map>
void set_entry(Map& map, std::uint32_t key, std::uint32_t access) {
    if (access == 0)
        map.erase(key);
    else
        map[key] = access;
}

}  // namespace

HvStatus InterceptTable::install(InterceptType type, std::uint32_t access,
                                 std::uint64_t parameter) {
    constexpr std::uint32_t kReadWrite = kInterceptRead | kInterceptWrite;
    const bool on = access != 0;
    switch (type) {
        case InterceptType::io_port:
        case InterceptType::io_port_range: {
            const std::uint64_t first = parameter & 0xffff;
            const std::uint64_t last = type == InterceptType::io_port ? parameter : parameter >> 16;
            if ((access & ~kReadWrite) != 0 || last > 0xffff || last < first)
                return HvStatus::invalid_parameter;
            for (std::uint64_t port = first; port <= last; ++port) {
                io_read_.set(port, (access & kInterceptRead) != 0);
                io_write_.set(port, (access & kInterceptWrite) != 0);
            }
            return HvStatus::success;
        }
        case InterceptType::msr:
            if ((access & ~kReadWrite) != 0 || parameter > 0xffff'ffff)
                return HvStatus::invalid_parameter;
            if (parameter == 0)
                all_msrs_ = access;
            else
                set_entry(msrs_, static_cast<std::uint32_t>(parameter), access);
            return HvStatus::success;
        case InterceptType::cpuid:
            if ((access & ~kInterceptExecute) != 0 || parameter > 0xffff'ffff)
                return HvStatus::invalid_parameter;
            set_entry(cpuid_, static_cast<std::uint32_t>(parameter), access);
            return HvStatus::success;
        case InterceptType::exception:
            // NMI and machine check belong to the hypervisor.
            if ((access & ~kInterceptExecute) != 0 || parameter >= 32 || parameter == 2 ||
                parameter == 18)
                return HvStatus::invalid_parameter;
            if (on)
                exceptions_ |= 1u << parameter;
            else
                exceptions_ &= ~(1u << parameter);
            return HvStatus::success;
        case InterceptType::apic_eoi:
            apic_eoi_ = on;
            return HvStatus::success;
        case InterceptType::hypercall:
        case InterceptType::unknown_synic_connection:
        case InterceptType::retarget_unknown_device:
            return HvStatus::feature_unavailable;
    }
    return HvStatus::invalid_parameter;
}

bool InterceptTable::msr(std::uint32_t index, bool write) const {
    const std::uint32_t wanted = write ? kInterceptWrite : kInterceptRead;
    const auto found = msrs_.find(index);
    return ((found == msrs_.end() ? all_msrs_ : found->second) & wanted) != 0;
}

std::size_t InterceptTable::entries() const noexcept {
    return msrs_.size() + cpuid_.size();
}

}  // namespace hvsim::hv
