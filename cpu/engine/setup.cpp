// Making an engine: an instance of the library in SVM guest mode, so that its own intercept checks
// report every sensitive instruction before it does anything.
#include <fmt/format.h>

#include "cpu/engine/engine_impl.h"
#include "sim/error.h"

namespace hvsim::cpu::engine {
namespace {

void check(uc_err error, const char* what) {
    if (error != UC_ERR_OK)
        throw sim::ConfigError(
            fmt::format("{}: {}: {}", library_version(), what, uc_strerror(error)),
            "use the static library of Unicorn 2.1.1 to 2.1.4");
}

void on_interrupt(uc_engine* uc, std::uint32_t number, void* user) {
    auto* const engine = static_cast<Engine::Impl*>(user);
    if (engine->environment == nullptr)  // find_state()
        uc_emu_stop(uc);
    else
        engine->handle_exit(number);
}

void on_block(uc_engine*, std::uint64_t pc, std::uint32_t work, void* user) {
    static_cast<Engine::Impl*>(user)->begin_block(pc, work);
}

// The assisted pages' region; interpose.cpp takes its accesses before they come here.
std::uint64_t on_assist_read(uc_engine*, std::uint64_t, unsigned, void*) {
    return ~std::uint64_t{0};
}
void on_assist_write(uc_engine*, std::uint64_t, unsigned, std::uint64_t, void*) {}

// SVM intercept word: bit n is exit code 0x60 + n (APM 2 15.9, appendix C).
constexpr std::uint64_t intercept_bit(InterceptCode code) {
    return std::uint64_t{1} << (static_cast<unsigned>(code) - 0x60);
}

constexpr std::uint64_t kPermanent =
    intercept_bit(InterceptCode::idtr_write) | intercept_bit(InterceptCode::gdtr_write) |
    intercept_bit(InterceptCode::ldtr_write) | intercept_bit(InterceptCode::tr_write) |
    intercept_bit(InterceptCode::rdtsc) | intercept_bit(InterceptCode::rdpmc) |
    intercept_bit(InterceptCode::cpuid) | intercept_bit(InterceptCode::rsm) |
    intercept_bit(InterceptCode::software_interrupt) | intercept_bit(InterceptCode::invd) |
    intercept_bit(InterceptCode::hlt) | intercept_bit(InterceptCode::invlpg) |
    intercept_bit(InterceptCode::msr) | intercept_bit(InterceptCode::shutdown) |
    intercept_bit(InterceptCode::wbinvd);

/// MSRs without an intercept: the library keeps them (is_native_msr).
constexpr std::uint32_t kNativeMsrs[] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                         0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
                                         0x174,      0x175,      0x176};

}  // namespace

PrivatePages::PrivatePages() {
    // msrpm_base_pa of the VMCB, APM 2 appendix B.
    const std::uint64_t bitmap = kMsrBitmap;
    std::memcpy(bytes.data() + 0x48, &bitmap, sizeof bitmap);
    intercept_native_msrs(false);
    bytes[kProbePage - kPrivateBase] = 0xee;  // OUT DX,AL
}

void PrivatePages::intercept_native_msrs(bool wanted) {
    // Two bits an MSR, read and write; [0, 0x2000) and from 0xc0000000 (APM 2 15.11).
    std::uint8_t* const map = bytes.data() + (kMsrBitmap - kPrivateBase);
    std::memset(map, 0xff, 0x1800);
    if (wanted) return;
    for (const std::uint32_t msr : kNativeMsrs) {
        const std::uint32_t bit = msr < 0x2000 ? msr * 2 : (msr - 0xc0000000 + 0x2000) * 2;
        map[bit / 8] = static_cast<std::uint8_t>(map[bit / 8] & ~(3U << (bit % 8)));
    }
}

bool Engine::is_native_msr(std::uint32_t msr) noexcept {
    for (const std::uint32_t native : kNativeMsrs)
        if (msr == native) return true;
    return false;
}

ActiveEngine::ActiveEngine(Engine::Impl& engine, Kind kind) : saved_(thread_context) {
    thread_context.engine = kind == Kind::interposed ? &engine : nullptr;
    thread_context.clock = &engine.code_bytes;
}

Engine::Impl::Impl(EngineGroup::Shared& shared_state, EngineClient& client_interface)
    : CodeHolder(shared_state.ram.end() >> sim::kPageShift),
      shared(shared_state),
      client(client_interface),
      layout(shared_state.layout),
      private_pages(std::make_unique<PrivatePages>()) {
    const ActiveEngine active(*this, ActiveEngine::Kind::plain);
    open_library();
    try {
        map_memory();
        find_state();
        enter_guest_mode();
        reset_state();
    } catch (...) {
        uc_close(uc);
        throw;
    }
    shared.pages.add(*this);
}

Engine::Impl::~Impl() {
    const ActiveEngine active(*this, ActiveEngine::Kind::plain);
    shared.pages.remove(*this);
    uc_close(uc);
}

void Engine::Impl::open_library() {
    check(uc_open(UC_ARCH_X86, UC_MODE_64, &uc), "uc_open");
    // Has CLAC, SMEP, FSGSBASE, XSAVE; what it has beyond that, the client's CPUID hides. RDRAND is
    // an invalid opcode (interpose.cpp).
    uc_ctl_set_cpu_model(uc, UC_CPU_X86_SKYLAKE_CLIENT);
    uc_ctl_set_tcg_buffer_size(uc, static_cast<std::uint32_t>(shared.take_code_buffer()));
    // Without this each start drops the block at address 0.
    check(uc_ctl_exits_enable(uc), "uc_ctl_exits_enable");
    check(uc_ctl_tlb_mode(uc, UC_TLB_VIRTUAL), "uc_ctl_tlb_mode");
    code_buffer = thread_context.code_buffer;
    code_buffer_bytes = thread_context.code_buffer_bytes;
    if (code_buffer_bytes == 0) check(UC_ERR_NOMEM, "no code buffer was mapped");
}

void Engine::Impl::map_memory() {
    // Memory first: drop_code() relies on its first region having RAM addresses from 0. The device
    // hole is part of the region; translate() never answers with an address in it.
    check(uc_mem_map_ptr(uc, 0, shared.ram.end(), UC_PROT_ALL, shared.ram.data()),
          "uc_mem_map_ptr");
    check(uc_mem_map_ptr(uc, kPrivateBase, kPrivateBytes, UC_PROT_ALL, private_pages->bytes.data()),
          "uc_mem_map_ptr");
    check(uc_mmio_map(uc, kAssistPage, Assist::kPages * sim::kPageSize, &on_assist_read, this,
                      &on_assist_write, this),
          "uc_mmio_map");
    uc_hook hook = 0;
    check(uc_hook_add(uc, &hook, UC_HOOK_INTR, reinterpret_cast<void*>(&on_interrupt), this, 1, 0),
          "uc_hook_add");
    // One block hook only: a single one is called without a search through a list.
    check(uc_hook_add(uc, &hook, UC_HOOK_BLOCK, reinterpret_cast<void*>(&on_block), this, 1, 0),
          "uc_hook_add");
}

/// Runs one interposed instruction; the interposed functions see where the state is.
void Engine::Impl::find_state() {
    threshold = ~std::uint64_t{0};
    check(uc_emu_start(uc, kProbePage, 0, 0, 0), "uc_emu_start");
    environment = thread_context.environment;
    processor = thread_context.processor;
    if (environment == nullptr || processor == nullptr) check(UC_ERR_HANDLE, "OUT does not arrive");
    code_bytes = 0;
    block_work = 0;
    update_threshold();
}

void Engine::Impl::enter_guest_mode() {
    store<std::uint64_t>(layout.vmcb, kVmcbPage);
    store<std::uint32_t>(layout.intercept_exceptions, ~0U);
    set_hflags(hflags() | hflag::kGuest);
    set_intercepts(optional);
}

void Engine::Impl::set_intercepts(const OptionalIntercepts& intercepts) {
    if (optional.native_msrs != intercepts.native_msrs)
        private_pages->intercept_native_msrs(intercepts.native_msrs);
    optional = intercepts;
    std::uint64_t word = kPermanent;
    const auto add = [&word](bool wanted, InterceptCode code) {
        if (wanted) word |= intercept_bit(code);
    };
    for (const InterceptCode read : {InterceptCode::idtr_read, InterceptCode::gdtr_read,
                                     InterceptCode::ldtr_read, InterceptCode::tr_read})
        add(optional.descriptor_reads, read);
    add(optional.pause, InterceptCode::pause);
    add(optional.pushf, InterceptCode::pushf);
    add(optional.popf, InterceptCode::popf);
    add(optional.iret, InterceptCode::iret);
    add(optional.monitor_mwait, InterceptCode::monitor);
    add(optional.monitor_mwait, InterceptCode::mwait);
    store<std::uint64_t>(layout.intercepts, word);

    const auto bit = [](bool wanted, unsigned n) { return wanted ? 1U << n : 0U; };
    store(layout.intercept_cr_read,
          static_cast<std::uint16_t>(bit(optional.cr0_read, 0) | bit(optional.cr3_read, 3) |
                                     bit(optional.cr4_read, 4) | bit(optional.cr8_read, 8)));
    store(layout.intercept_cr_write,
          static_cast<std::uint16_t>(bit(true, 0) | bit(optional.cr3_write, 3) | bit(true, 4) |
                                     bit(true, 8)));
    store(layout.intercept_dr_read, static_cast<std::uint16_t>(optional.dr_read ? 0xff : 0));
    // Always: a native write of DR7 can crash the process.
    store(layout.intercept_dr_write, std::uint16_t{0xff});
}

}  // namespace hvsim::cpu::engine
