// Functions that take the place of the library's own (ld's --wrap). They see what its hooks don't:
// the return address into translated code, from which the library restores the exact state of an
// instruction; the full address and the privilege of a TLB miss. (Those around translating are in
// interpose_translation.cpp, those on the way of data in interpose_access.cpp.) Each leaves by the
// library's own VM exit function, as its intercepted instructions do. Nothing here may own anything
// when it leaves: the long jump runs no destructor.
#include <algorithm>
#include <array>

#include "cpu/engine/engine_impl.h"

namespace hvsim::cpu::engine {

thread_local constinit ThreadContext thread_context;

namespace {

constexpr std::uint32_t code_of(InterceptCode code) {
    return static_cast<std::uint32_t>(code);
}

std::uint64_t swapped(std::uint64_t value, unsigned size) {
    return __builtin_bswap64(value) >> (64 - 8 * size);
}

[[noreturn]] void leave_io(void* environment, std::uint32_t port, std::uint8_t size, bool in,
                           void* return_address) {
    thread_context.environment = static_cast<std::uint8_t*>(environment);
    if (thread_context.engine != nullptr)
        thread_context.engine->intercept.io = {static_cast<std::uint16_t>(port), size, in};
    cpu_vmexit_x86_64(environment, code_of(InterceptCode::io), 0,
                      reinterpret_cast<std::uintptr_t>(return_address));
}

/// A far transfer outside IA-32e mode, which may name a task; unless the client lets it pass.
void leave_far(void* environment, InterceptCode code, int selector, std::uint64_t next,
               void* return_address) {
    constexpr std::uint64_t kLongModeActive = 1 << 10;
    Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr ||
        (engine->load<std::uint64_t>(engine->layout.efer) & kLongModeActive) != 0)
        return;
    const auto name = static_cast<std::uint16_t>(selector);
    const auto behind = static_cast<std::uint32_t>(next);
    auto& far = engine->intercept.far;
    const bool passes = engine->far_transfer_passes && far.selector == name && far.next == behind;
    engine->far_transfer_passes = false;
    if (passes) return;
    far = {name, behind};
    cpu_vmexit_x86_64(environment, code_of(code), 0,
                      reinterpret_cast<std::uintptr_t>(return_address));
}

/// Whether WRMSR of one of the library's own MSRs is one that raises no #GP (SDM 4 table 2-2).
constexpr bool is_valid_native_msr(std::uint32_t number, std::uint64_t value) {
    const auto upper = static_cast<std::int64_t>(value) >> 47;
    switch (number) {
        case 0xc0000082:  // LSTAR
        case 0xc0000083:  // CSTAR
        case 0xc0000100:  // FS.base
        case 0xc0000101:  // GS.base
        case 0xc0000102:  // KernelGSbase
        case 0x175:       // SYSENTER_ESP
        case 0x176:       // SYSENTER_EIP
            return upper == 0 || upper == -1;
        case 0xc0000084:  // FMASK
        case 0xc0000103:  // TSC_AUX
            return value >> 32 == 0;
        default:
            return true;
    }
}

/// The library gives up on something that a guest can cause (LOCK BTR with a register while
/// translating, a busy TSS in a call gate). That ends the guest's instruction or, where the state
/// can't be told any more, the guest; never the simulator.
bool leave_for_guest() {
    Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr || !engine->running || engine->in_handler) return false;
    cpu_vmexit_x86_64(engine->environment, engine->library_gave_up(), 0, 0);
}

/// FS.base and GS.base, which survive that a return to an outer level makes their selectors null
/// (SDM 2A IRET invalidates the segment; 64-bit mode uses the base all the same). The library
/// clears them.
class KeptBases {
  public:
    explicit KeptBases(Engine::Impl* engine)
        : engine_(engine != nullptr && (engine->hflags() & hflag::kLongMode) != 0 ? engine
                                                                                  : nullptr) {
        for (std::size_t i = 0; engine_ != nullptr && i < kNames.size(); ++i)
            bases_[i] = engine_->load<std::uint64_t>(offset(i) + engine_->layout.base);
    }
    void restore() const {
        for (std::size_t i = 0; engine_ != nullptr && i < kNames.size(); ++i)
            if (engine_->load<std::uint32_t>(offset(i) + engine_->layout.selector) == 0)
                engine_->store(offset(i) + engine_->layout.base, bases_[i]);
    }

  private:
    static constexpr std::array kNames{SegmentName::fs, SegmentName::gs};
    std::size_t offset(std::size_t i) const { return engine_->segment_offset(kNames[i]); }
    Engine::Impl* engine_;
    std::array<std::uint64_t, 2> bases_{};
};

}  // namespace
}  // namespace hvsim::cpu::engine

using namespace hvsim::cpu::engine;  // NOLINT: the functions below stand for the library's global
                                     // ones

extern "C" {

bool __real_unicorn_fill_tlb_x86_64(void* processor, std::uint64_t address, int size, int access,
                                    int mmu_index, bool probe, std::uintptr_t return_address);
void __real_tlb_flush_x86_64(void* processor);
void __real_tlb_reset_dirty_by_vaddr_x86_64(void* processor, std::uint64_t start,
                                            std::uint64_t length);
std::uint32_t __real_memory_region_dispatch_read_x86_64(uc_engine* uc, void* region,
                                                        std::uint64_t offset, std::uint64_t* value,
                                                        unsigned operation,
                                                        std::uint32_t attributes);
std::uint32_t __real_memory_region_dispatch_write_x86_64(uc_engine* uc, void* region,
                                                         std::uint64_t offset, std::uint64_t value,
                                                         unsigned operation,
                                                         std::uint32_t attributes);

void __real_helper_ljmp_protected_x86_64(void* environment, int selector, std::uint64_t target,
                                         std::uint64_t next);
void __real_helper_lcall_protected_x86_64(void* environment, int selector, std::uint64_t target,
                                          int operand_size, std::uint64_t next);
void __real_helper_sysret_x86_64(void* environment, int operand_size);
void __real_helper_write_crN_x86_64(void* environment, int number, std::uint64_t value);
void __real_helper_load_seg_x86_64(void* environment, int segment, int selector);
void __real_helper_iret_protected_x86_64(void* environment, int shift, int next_eip);
void __real_helper_lret_protected_x86_64(void* environment, int shift, int addend);
void __real_helper_wrmsr_x86_64(void* environment);
void __real_helper_xsetbv_x86_64(void* environment, std::uint32_t index, std::uint64_t value);
[[noreturn]] void __real_abort();
[[noreturn]] void __real___assert_fail(const char* assertion, const char* file, unsigned line,
                                       const char* function);

void __wrap_abort() {
    leave_for_guest();
    __real_abort();
}
void __wrap___assert_fail(const char* assertion, const char* file, unsigned line,
                          const char* function) {
    leave_for_guest();
    __real___assert_fail(assertion, file, line, function);
}

std::uint64_t __wrap_helper_inb_x86_64(void* environment, std::uint32_t port) {
    leave_io(environment, port, 1, true, __builtin_return_address(0));
}
std::uint64_t __wrap_helper_inw_x86_64(void* environment, std::uint32_t port) {
    leave_io(environment, port, 2, true, __builtin_return_address(0));
}
std::uint64_t __wrap_helper_inl_x86_64(void* environment, std::uint32_t port) {
    leave_io(environment, port, 4, true, __builtin_return_address(0));
}
void __wrap_helper_outb_x86_64(void* environment, std::uint32_t port, std::uint32_t) {
    leave_io(environment, port, 1, false, __builtin_return_address(0));
}
void __wrap_helper_outw_x86_64(void* environment, std::uint32_t port, std::uint32_t) {
    leave_io(environment, port, 2, false, __builtin_return_address(0));
}
void __wrap_helper_outl_x86_64(void* environment, std::uint32_t port, std::uint32_t) {
    leave_io(environment, port, 4, false, __builtin_return_address(0));
}
void __wrap_helper_syscall_x86_64(void* environment, int) {
    cpu_vmexit_x86_64(environment, code_of(InterceptCode::syscall), 0,
                      reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
}
void __wrap_helper_sysenter_x86_64(void* environment, int) {
    cpu_vmexit_x86_64(environment, code_of(InterceptCode::sysenter), 0,
                      reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
}
void __wrap_helper_sysexit_x86_64(void* environment, int) {
    cpu_vmexit_x86_64(environment, code_of(InterceptCode::sysexit), 0,
                      reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
}
/// The library's task switches would pass by the client's control registers.
void __wrap_helper_ljmp_protected_x86_64(void* environment, int selector, std::uint64_t target,
                                         std::uint64_t next) {
    leave_far(environment, InterceptCode::far_jump, selector, next, __builtin_return_address(0));
    __real_helper_ljmp_protected_x86_64(environment, selector, target, next);
}
void __wrap_helper_lcall_protected_x86_64(void* environment, int selector, std::uint64_t target,
                                          int operand_size, std::uint64_t next) {
    leave_far(environment, InterceptCode::far_call, selector, next, __builtin_return_address(0));
    __real_helper_lcall_protected_x86_64(environment, selector, target, operand_size, next);
}
void __wrap_helper_iret_protected_x86_64(void* environment, int operand_size, int next) {
    Engine::Impl* const engine = thread_context.engine;
    constexpr std::uint64_t kNestedTask = 1 << 14, kLongModeActive = 1 << 10;
    if (engine != nullptr &&
        (engine->load<std::uint64_t>(engine->layout.rflags) & kNestedTask) != 0 &&
        (engine->load<std::uint64_t>(engine->layout.efer) & kLongModeActive) == 0) {
        engine->intercept.far = {0, static_cast<std::uint32_t>(next)};
        cpu_vmexit_x86_64(environment, code_of(InterceptCode::task_return), 0,
                          reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
    }
    const KeptBases bases(engine);
    __real_helper_iret_protected_x86_64(environment, operand_size, next);
    bases.restore();
}
/// Intel's SYSRET checks where it goes while it still has CPL 0 (SDM 2B SYSRET); AMD's doesn't, and
/// nor does the library's. EFER.SCE comes before.
void __wrap_helper_sysret_x86_64(void* environment, int operand_size) {
    constexpr int kOperand64 = 2;
    constexpr std::uint64_t kSyscallEnable = 1;
    Engine::Impl* const engine = thread_context.engine;
    if (engine != nullptr && engine->optional.sysret_checks_rip && operand_size == kOperand64) {
        const auto& layout = engine->layout;
        const auto target = engine->load<std::uint64_t>(layout.gpr + kRcx * 8);
        const auto upper = static_cast<std::int64_t>(target) >> 47;
        const bool enabled = (engine->load<std::uint64_t>(layout.efer) & kSyscallEnable) != 0;
        if (enabled && upper != 0 && upper != -1) {
            engine->store<std::uint32_t>(layout.error_code, 0);
            cpu_vmexit_x86_64(environment, code_of(InterceptCode::exception) + 13, 0,
                              reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
        }
    }
    __real_helper_sysret_x86_64(environment, operand_size);
}
/// In 64-bit mode SS may become null where its RPL is the CPL, below 3 (SDM 2B MOV). The call of
/// the library's own is the last thing here, so that it sees the caller that it returns to.
void __wrap_helper_load_seg_x86_64(void* environment, int segment, int selector) {
    constexpr int kSs = static_cast<int>(SegmentName::ss);
    Engine::Impl* const engine = thread_context.engine;
    if (engine != nullptr && segment == kSs && (selector & 0xfffc) == 0 &&
        (selector & 3) != static_cast<int>(engine->hflags() & hflag::kCplMask)) {
        engine->store<std::uint32_t>(engine->layout.error_code, 0);
        cpu_vmexit_x86_64(environment, code_of(InterceptCode::exception) + 13, 0,
                          reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
    }
    __real_helper_load_seg_x86_64(environment, segment, selector);
}
void __wrap_helper_lret_protected_x86_64(void* environment, int shift, int addend) {
    const KeptBases bases(thread_context.engine);
    __real_helper_lret_protected_x86_64(environment, shift, addend);
    bases.restore();
}
/// Reserved bits of CR3 are the client's to refuse.
void __wrap_helper_write_crN_x86_64(void* environment, int number, std::uint64_t value) {
    const Engine::Impl* const engine = thread_context.engine;
    if (engine != nullptr && number == 3 && engine->optional.cr3_bits < 64 &&
        value >> engine->optional.cr3_bits != 0)
        cpu_vmexit_x86_64(environment, code_of(InterceptCode::cr_write) + 3, 0,
                          reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
    __real_helper_write_crN_x86_64(environment, number, value);
}
/// A native MSR takes what its client lets through: addresses that are canonical, 32 bits where
/// there are no more (SDM 2B WRMSR).
void __wrap_helper_wrmsr_x86_64(void* environment) {
    const Engine::Impl* const engine = thread_context.engine;
    if (engine != nullptr) {
        const auto& layout = engine->layout;
        const auto number = engine->load<std::uint32_t>(layout.gpr + kRcx * 8);
        const std::uint64_t value =
            std::uint64_t{engine->load<std::uint32_t>(layout.gpr + kRdx * 8)} << 32 |
            engine->load<std::uint32_t>(layout.gpr + kRax * 8);
        if (!is_valid_native_msr(number, value))
            cpu_vmexit_x86_64(environment, code_of(InterceptCode::msr), 1,
                              reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
    }
    __real_helper_wrmsr_x86_64(environment);
}
/// XSETBV always exits from VMX non-root operation, and may from an AMD-V guest.
void __wrap_helper_xsetbv_x86_64(void* environment, std::uint32_t index, std::uint64_t value) {
    if (thread_context.engine == nullptr)
        return __real_helper_xsetbv_x86_64(environment, index, value);
    cpu_vmexit_x86_64(environment, code_of(InterceptCode::xsetbv), 0,
                      reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
}
/// The host's entropy must not reach a guest: RDRAND is an invalid opcode here, for the client to
/// emulate or to deliver.
std::uint64_t __wrap_helper_rdrand_x86_64(void* environment) {
    cpu_vmexit_x86_64(environment, code_of(InterceptCode::exception) + 6, 0,
                      reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
}

bool __wrap_unicorn_fill_tlb_x86_64(void* processor, std::uint64_t address, int size, int access,
                                    int mmu_index, bool probe, std::uintptr_t return_address) {
    Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr)
        return __real_unicorn_fill_tlb_x86_64(processor, address, size, access, mmu_index, probe,
                                              return_address);
    if (engine->fill_tlb(address, access, mmu_index)) return true;
    if (probe) return false;
    const std::uint32_t code = engine->refuse_fill(address, access, mmu_index, return_address != 0);
    cpu_vmexit_x86_64(engine->environment, code, 0, return_address);
}

void __wrap_tlb_flush_x86_64(void* processor) {
    if (thread_context.engine != nullptr) thread_context.engine->library_flushes_tlb();
    __real_tlb_flush_x86_64(processor);
}

/// Searches the whole TLB, for each block translated, for entries through which its page could be
/// written without notice. There are none (code_pages.h).
void __wrap_tlb_reset_dirty_by_vaddr_x86_64(void* processor, std::uint64_t start,
                                            std::uint64_t length) {
    if (thread_context.engine == nullptr)
        __real_tlb_reset_dirty_by_vaddr_x86_64(processor, start, length);
}

/// The assisted page's accesses, whole: the library would cut eight bytes into two times four.
std::uint32_t __wrap_memory_region_dispatch_read_x86_64(uc_engine* uc, void* region,
                                                        std::uint64_t offset, std::uint64_t* value,
                                                        unsigned operation,
                                                        std::uint32_t attributes) {
    Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr || engine->assist.phase != Assist::Phase::running)
        return __real_memory_region_dispatch_read_x86_64(uc, region, offset, value, operation,
                                                         attributes);
    const unsigned size = 1U << (operation & mem_op::kSize);
    *value = engine->assist_read(offset, size);
    if ((operation & mem_op::kSwap) != 0) *value = swapped(*value, size);
    return 0;
}

std::uint32_t __wrap_memory_region_dispatch_write_x86_64(uc_engine* uc, void* region,
                                                         std::uint64_t offset, std::uint64_t value,
                                                         unsigned operation,
                                                         std::uint32_t attributes) {
    Engine::Impl* const engine = thread_context.engine;
    if (engine == nullptr || engine->assist.phase != Assist::Phase::running)
        return __real_memory_region_dispatch_write_x86_64(uc, region, offset, value, operation,
                                                          attributes);
    const unsigned size = 1U << (operation & mem_op::kSize);
    if ((operation & mem_op::kSwap) != 0) value = swapped(value, size);
    engine->assist_write(offset, size, value);
    return 0;
}
}

void hvsim::cpu::engine::flush_library_tlb(void* processor) {
    __real_tlb_flush_x86_64(processor);
}
