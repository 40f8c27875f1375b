#include "cpu/engine/engine.h"

#include <fmt/format.h>

#include <utility>

#include "cpu/engine/engine_impl.h"
#include "cpu/engine/self_test.h"
#include "sim/error.h"

namespace hvsim::cpu::engine {
namespace {

constexpr std::uint64_t kSmallestCodeBuffer = 2 << 20;
constexpr std::uint64_t kLargestCodeBuffer = 1 << 30;

constexpr std::uint32_t kExceptionBase = static_cast<std::uint32_t>(InterceptCode::exception);
constexpr std::uint32_t kDebugException = kExceptionBase + 1;
constexpr std::uint64_t kTrapFlag = 1 << 8;

constexpr bool is(std::uint32_t code, InterceptCode name) {
    return code == static_cast<std::uint32_t>(name);
}

/// Exceptions that push an error code: SDM 3A 6.13.
constexpr bool has_error_code(std::uint32_t code) {
    if (is(code, InterceptCode::msr)) return true;
    if (code < kExceptionBase || code >= kExceptionBase + 32) return false;
    const unsigned vector = code - kExceptionBase;
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

}  // namespace

const char* library_version() {
    static const std::string text = [] {
        unsigned major = 0;
        unsigned minor = 0;
        const unsigned all = uc_version(&major, &minor);
        return fmt::format("Unicorn {}.{}.{}", major, minor, all >> 8 & 0xff);
    }();
    return text.c_str();
}

EngineGroup::EngineGroup(sim::Ram& ram, std::uint64_t code_buffer_bytes) {
    if (code_buffer_bytes < kSmallestCodeBuffer || code_buffer_bytes > kLargestCodeBuffer)
        throw sim::ConfigError(
            fmt::format("an engine's code buffer of {} bytes is not between 2 MiB and 1 GiB",
                        code_buffer_bytes));
    prove_library();
    shared_ = std::make_unique<Shared>(ram, code_buffer_bytes);
}

EngineGroup::EngineGroup(sim::Ram& ram, std::uint64_t code_buffer_bytes, Unproven)
    : shared_(std::make_unique<Shared>(ram, code_buffer_bytes)) {}

EngineGroup::~EngineGroup() = default;

Engine::Engine(EngineGroup& group, EngineClient& client)
    : impl_(std::make_unique<Impl>(group.shared(), client)) {}
Engine::~Engine() = default;

RunEnd Engine::run() {
    return impl_->run();
}
void Engine::run_assisted(std::uint64_t linear, std::uint64_t physical, MmioHandler& handler) {
    impl_->request_assist(linear, physical, handler);
}
void Engine::request_stop() noexcept {
    impl_->request_stop();
}
void Engine::pass_far_transfer() noexcept {
    impl_->far_transfer_passes = true;
}
std::uint64_t Engine::code_bytes() const noexcept {
    return impl_->code_bytes;
}
std::uint64_t Engine::instructions() const noexcept {
    return impl_->instructions;
}
void Engine::set_limit(std::uint64_t code_bytes) noexcept {
    impl_->set_limit(code_bytes);
}
std::uint64_t Engine::limit() const noexcept {
    return impl_->limit;
}
void Engine::set_optional_intercepts(const OptionalIntercepts& intercepts) {
    if (!(intercepts == impl_->optional)) impl_->set_intercepts(intercepts);
}
bool Engine::fetched_page(std::uint64_t linear, bool user, std::uint64_t& physical) const noexcept {
    return impl_->translations.find_executable(sim::page_base(linear), user, physical);
}
void Engine::flush_tlb() {
    impl_->flush_tlb();
}
void Engine::flush_tlb_page(std::uint64_t linear) {
    impl_->flush_tlb_page(linear);
}
void Engine::set_a20(bool enabled) {
    if (impl_->a20 == enabled) return;
    impl_->a20 = enabled;
    impl_->flush_tlb();
}
const Engine::Counters& Engine::counters() const noexcept {
    return impl_->counters;
}

RunEnd Engine::Impl::run() {
    SIM_ASSERT(!running);
    const ActiveEngine active(*this);
    ++counters.runs;
    stop_requested = false;
    limit_reached = false;
    block_work = 0;
    if (assist.phase == Assist::Phase::requested) start_assist();
    update_threshold();
    running = true;
    const uc_err error = uc_emu_start(uc, load<std::uint64_t>(layout.rip), 0, 0, 0);
    running = false;
    if (failure != nullptr) std::rethrow_exception(std::exchange(failure, nullptr));
    if (error != UC_ERR_OK || !(stop_requested || limit_reached))
        throw sim::ModelError(fmt::format("{} left its loop at RIP {:#x}: {}", library_version(),
                                          load<std::uint64_t>(layout.rip), uc_strerror(error)));
    return stop_requested ? RunEnd::stop_requested : RunEnd::limit;
}

void Engine::Impl::request_stop() noexcept {
    stop_requested = true;
    update_threshold();
}

void Engine::Impl::set_limit(std::uint64_t bytes) noexcept {
    limit = bytes;
    update_threshold();
}

void Engine::Impl::update_threshold() noexcept {
    const bool ask_each_block = stopping() || assist.phase == Assist::Phase::armed ||
                                assist.phase == Assist::Phase::running;
    threshold = ask_each_block ? 0 : limit;
}

/// Out of line, so that begin_block() needs no stack frame.
void Engine::Impl::begin_block_slowly(std::uint64_t pc, std::uint32_t work) {
    before_block(pc);
    count_block(pc, work);
}

void Engine::Impl::before_block(std::uint64_t pc) {
    if (assist.phase == Assist::Phase::armed) {
        assist.phase = Assist::Phase::running;
        return;
    }
    // Blocks that jump to each other directly leave RIP alone.
    store(layout.rip, pc - cs_base());
    cpu_vmexit_x86_64(environment, kExitBoundary, 0, 0);
}

void Engine::Impl::handle_exit(std::uint32_t number) noexcept {
    in_handler = true;
    translating = false;
    thread_context.load_bytes = 0;
    try {
        // Below 0x100 are interrupts and exceptions that were not intercepted; all of them are.
        SIM_ASSERT(number >= kExitNumberBase);
        dispatch(number - kExitNumberBase);
        if (assist.phase == Assist::Phase::requested && !stopping()) start_assist();
    } catch (...) {
        failure = std::current_exception();
    }
    in_handler = false;
    update_threshold();
    if (stopping()) uc_emu_stop(uc);
}

/// Whether the instruction that ran last was not interrupted: the exit came after it.
bool Engine::Impl::instruction_completed(std::uint32_t code) const noexcept {
    if (between_blocks) return true;
    switch (code) {
        case kExitBoundary:
        case kExitFlushCode:
        case kExitRetranslate:
        case kExitStaleBlock:
            return true;
        case kDebugException:
            return (load<std::uint64_t>(layout.rflags) & kTrapFlag) != 0;
        default:
            return false;
    }
}

/// A block is counted whole when it begins; one that was left in the middle counts up to RIP, its
/// instructions in proportion to the bytes.
void Engine::Impl::settle_code_bytes(bool completed) noexcept {
    const std::uint32_t size = block_work & 0xffff;
    if (!completed && size != 0) {
        const std::uint64_t done = cs_base() + load<std::uint64_t>(layout.rip) - block_pc;
        if (done < size) {
            const std::uint64_t count = block_work >> 16;
            code_bytes -= size - done;
            instructions -= count - count * done / size;
        }
    }
    block_work = 0;
}

void Engine::Impl::dispatch(std::uint32_t code) {
    const bool completed = instruction_completed(code);
    intercept.fault.previous_block = block_pc;
    intercept.fault.previous_bytes = between_blocks ? block_work & 0xffff : 0;
    between_blocks = false;
    settle_code_bytes(completed);
    if (code == kExitRetranslate) return;
    if (code == kExitStaleBlock) {
        const bool user = (hflags() & hflag::kCplMask) == hflag::kCplMask;
        std::uint64_t physical = 0;
        if (translations.find_executable(before_unreachable, user, physical))
            drop_code(sim::page_of(physical));
        return;
    }
    if (code == kExitFlushCode) {
        flush_code();
        return;
    }
    if (assist.phase == Assist::Phase::running)
        end_assist(completed);
    else if (assist.phase == Assist::Phase::armed)
        end_assist(false);
    if (code == kExitWatchpoint) {
        watched_rip = load<std::uint64_t>(layout.rip);
        run_alone();
        return;
    }
    const std::uint32_t met = std::exchange(watchpoints_met, 0);
    intercept.watch.met = completed ? met : 0;
    if (intercept.watch.met != 0 && code != kDebugException) {
        // What else it is, a fault of the next instruction's fetch, comes again.
        report(static_cast<std::uint32_t>(InterceptCode::watchpoint));
        return;
    }
    if (code != kExitBoundary) {
        report(code);
        return;
    }
    if (stopping() || code_bytes < limit) return;
    client.on_limit();
    if (code_bytes >= limit) limit_reached = true;
}

void Engine::Impl::report(std::uint32_t code) {
    ++counters.intercepts;
    Intercept reported;
    reported.code = static_cast<InterceptCode>(code);
    if (has_error_code(code)) reported.error_code = load<std::uint32_t>(layout.error_code);
    if (is(code, InterceptCode::io)) reported.io = intercept.io;
    if (is(code, InterceptCode::page_fault)) reported.fault = intercept.fault;
    if (is(code, InterceptCode::watchpoint) || code == kDebugException)
        reported.watch = {intercept.watch.met, watched_rip};
    far_transfer_passes = false;
    if (code >= static_cast<std::uint32_t>(InterceptCode::far_jump)) reported.far = intercept.far;
    client.on_intercept(reported);
}

}  // namespace hvsim::cpu::engine
