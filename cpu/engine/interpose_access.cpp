// Functions that take the place of the library's own on the slow path of loads and stores (see
// interpose.cpp): there come TLB misses, pages with a watchpoint, and operands that are not aligned
// as their instruction demands.
#include "cpu/engine/engine_impl.h"

namespace hvsim::cpu::engine {
namespace {

/// BP_MEM_READ and BP_MEM_WRITE, of pages and accesses.
constexpr int kWatchReads = 1, kWatchWrites = 2;

/// Leaves where the operand must be aligned and is not; else takes the demand out of `operation`,
/// which the library would not know how to answer.
void check_alignment(std::uint64_t address, std::uint32_t& operation,
                     std::uintptr_t return_address) {
    const unsigned demand = operation >> mem_op::kShift & mem_op::kAlignment;
    if (demand == 0) [[likely]]
        return;
    const bool by_size = demand == mem_op::kAligned;
    const unsigned bits = by_size ? operation >> mem_op::kShift & mem_op::kSize : demand >> 4;
    operation &= ~(mem_op::kAlignment << mem_op::kShift);
    Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr || (address & ((1u << bits) - 1)) == 0) return;
    constexpr std::uint64_t kAlignmentMask = 1 << 18;  // CR0.AM
    if (by_size && (engine->load<std::uint64_t>(engine->layout.cr) & kAlignmentMask) == 0) return;
    constexpr std::uint32_t kGp = 13, kAc = 17;
    engine->store<std::uint32_t>(engine->layout.error_code, 0);
    cpu_vmexit_x86_64(engine->environment,
                      static_cast<std::uint32_t>(InterceptCode::exception) + (by_size ? kAc : kGp),
                      0, return_address);
}

}  // namespace
}  // namespace hvsim::cpu::engine

using namespace hvsim::cpu::engine;  // NOLINT: the functions below stand for the library's global
                                     // ones

extern "C" {

#define HVSIM_LOAD(name, bytes)                                                                 \
    std::uint64_t __real_helper_##name##_mmu_x86_64(void*, std::uint64_t, std::uint32_t,        \
                                                    std::uintptr_t);                            \
    std::uint64_t __wrap_helper_##name##_mmu_x86_64(void* environment, std::uint64_t address,   \
                                                    std::uint32_t operation,                    \
                                                    std::uintptr_t return_address) {            \
        check_alignment(address, operation, return_address);                                    \
        thread_context.load_address = address;                                                  \
        thread_context.load_bytes = (bytes);                                                    \
        const std::uint64_t value =                                                             \
            __real_helper_##name##_mmu_x86_64(environment, address, operation, return_address); \
        thread_context.load_bytes = 0;                                                          \
        return value;                                                                           \
    }
HVSIM_LOAD(ret_ldub, 1)
HVSIM_LOAD(le_lduw, 2)
HVSIM_LOAD(le_ldul, 4)
HVSIM_LOAD(le_ldq, 8)
HVSIM_LOAD(be_lduw, 2)
HVSIM_LOAD(be_ldul, 4)
HVSIM_LOAD(be_ldq, 8)
#undef HVSIM_LOAD

#define HVSIM_STORE(name, type)                                                                    \
    void __real_helper_##name##_mmu_x86_64(void*, std::uint64_t, type, std::uint32_t,              \
                                           std::uintptr_t);                                        \
    void __wrap_helper_##name##_mmu_x86_64(void* environment, std::uint64_t address, type value,   \
                                           std::uint32_t operation,                                \
                                           std::uintptr_t return_address) {                        \
        check_alignment(address, operation, return_address);                                       \
        __real_helper_##name##_mmu_x86_64(environment, address, value, operation, return_address); \
    }
HVSIM_STORE(ret_stb, std::uint8_t)
HVSIM_STORE(le_stw, std::uint16_t)
HVSIM_STORE(le_stl, std::uint32_t)
HVSIM_STORE(le_stq, std::uint64_t)
HVSIM_STORE(be_stw, std::uint16_t)
HVSIM_STORE(be_stl, std::uint32_t)
HVSIM_STORE(be_stq, std::uint64_t)
#undef HVSIM_STORE

/// Asked for each page that enters the library's TLB: accesses of what kind take the slow path.
int __wrap_cpu_watchpoint_address_matches_x86_64(void*, std::uint64_t address, std::uint64_t) {
    const Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr || !engine->watching) return 0;
    int kinds = 0;
    for (const Watchpoint& watchpoint : engine->watchpoints) {
        if (!watchpoint.enabled || hvsim::sim::page_base(watchpoint.linear) != address) continue;
        kinds |= (watchpoint.reads ? kWatchReads : 0) | (watchpoint.writes ? kWatchWrites : 0);
    }
    return kinds;
}

/// Before an access to such a page.
void __wrap_cpu_check_watchpoint_x86_64(void*, std::uint64_t address, std::uint64_t bytes,
                                        std::uint32_t, int kinds, std::uintptr_t return_address) {
    Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr || return_address == 0) return;
    const bool write = kinds == kWatchWrites;
    if (!write && thread_context.load_bytes != 0) {
        address = thread_context.load_address;
        bytes = thread_context.load_bytes;
    }
    if (engine->meets_watchpoint(address, bytes, write))
        cpu_vmexit_x86_64(engine->environment, kExitWatchpoint, 0, return_address);
}
}
