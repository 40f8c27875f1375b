#pragma once
// The inside of Engine, shared by the files of this folder.
#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <memory>

#include "cpu/engine/code_pages.h"
#include "cpu/engine/engine.h"
#include "cpu/engine/layout.h"
#include "cpu/engine/library.h"
#include "cpu/engine/translations.h"

namespace hvsim::cpu::engine {

struct EngineGroup::Shared {
    Shared(sim::Ram& ram_, std::uint64_t code_buffer_bytes_)
        : ram(ram_),
          code_buffer_bytes(code_buffer_bytes_),
          layout(calibrated_layout()),
          pages(ram_) {}

    /// The size of one more engine's code buffer: the smallest useful one when no more fit near the
    /// program, where translated code is fast.
    std::uint64_t take_code_buffer() noexcept {
        constexpr std::uint64_t kNear = std::uint64_t{3} << 29, kSmall = std::uint64_t{32} << 20;
        const bool fits = code_buffers + code_buffer_bytes <= kNear;
        const std::uint64_t bytes = fits ? code_buffer_bytes : std::min(code_buffer_bytes, kSmall);
        code_buffers += bytes;
        return bytes;
    }

    sim::Ram& ram;
    std::uint64_t code_buffer_bytes;
    std::uint64_t code_buffers = 0;  ///< bytes of all
    const Layout& layout;
    CodePages pages;
};

/// Pages of the layer's own, the same in every engine: a VMCB with an MSR bitmap, and probe code.
struct PrivatePages {
    PrivatePages();
    void intercept_native_msrs(bool wanted);
    alignas(4096) std::array<std::uint8_t, kPrivateBytes> bytes{};
};

/// While it lives, the library's clock on this thread follows the engine's progress and, unless it
/// is `plain`, the interposed functions act for the engine.
class ActiveEngine {
  public:
    enum class Kind : std::uint8_t { interposed, plain };
    explicit ActiveEngine(Engine::Impl& engine, Kind kind = Kind::interposed);
    ~ActiveEngine() { thread_context = saved_; }
    ActiveEngine(const ActiveEngine&) = delete;
    ActiveEngine& operator=(const ActiveEngine&) = delete;

  private:
    ThreadContext saved_;
};

/// The pages served by handlers while one instruction runs.
struct Assist {
    struct Page {
        std::uint64_t linear = 0, physical = 0;
        MmioHandler* handler = nullptr;
    };
    /// Source and destination, each across the end of a page.
    static constexpr std::size_t kPages = 4;

    /// armed: the instruction's block has not begun; running: it has.
    enum class Phase : std::uint8_t { none, requested, armed, running };
    Phase phase = Phase::none;
    bool shadow_was_set = false;
    std::array<Page, kPages> pages{};
    std::size_t count = 0;

    const Page* find(std::uint64_t linear) const noexcept {
        for (std::size_t i = 0; i < count; ++i)
            if (pages[i].linear == linear) return &pages[i];
        return nullptr;
    }
};

struct Engine::Impl final : CodeHolder {
    Impl(EngineGroup::Shared& shared_state, EngineClient& client_interface);
    ~Impl() override;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    // engine.cpp: running
    RunEnd run();
    void request_stop() noexcept;
    void set_limit(std::uint64_t bytes) noexcept;
    void update_threshold() noexcept;
    /// A block of `work` (count_instructions()) at `pc` is about to run. May leave by a long jump.
    void begin_block(std::uint64_t pc, std::uint32_t work) {
        if (code_bytes >= threshold) [[unlikely]]
            return begin_block_slowly(pc, work);
        count_block(pc, work);
    }
    void begin_block_slowly(std::uint64_t pc, std::uint32_t work);
    void count_block(std::uint64_t pc, std::uint32_t work) {
        code_bytes += work & 0xffff;
        instructions += work >> 16;
        block_pc = pc;
        block_work = work;
    }
    void before_block(std::uint64_t pc);
    /// UC_HOOK_INTR: the state is exact and may be changed.
    void handle_exit(std::uint32_t number) noexcept;
    void dispatch(std::uint32_t code);
    bool instruction_completed(std::uint32_t code) const noexcept;
    void settle_code_bytes(bool completed) noexcept;
    bool stopping() const noexcept { return stop_requested || limit_reached || failure != nullptr; }
    void report(std::uint32_t code);

    // assist.cpp
    void request_assist(std::uint64_t linear, std::uint64_t physical, MmioHandler& handler);
    void start_assist();
    void end_assist(bool completed);
    /// Fills the library's TLB with an assisted page; false: it is none.
    bool fill_assisted(std::uint64_t linear_page, int mmu_index);
    /// translate() refused the page; another handler may serve it all the same.
    bool assist_refused(std::uint64_t linear_page);
    std::uint64_t assist_read(std::uint64_t offset, unsigned size) noexcept;
    void assist_write(std::uint64_t offset, unsigned size, std::uint64_t value) noexcept;

    // watchpoints.cpp
    void set_watchpoints(const Watchpoints& wanted);
    /// Whether to leave before an access that meets one: the instruction is to run alone.
    bool meets_watchpoint(std::uint64_t address, std::uint64_t size, bool write) noexcept;
    void run_alone();

    // memory.cpp: TLB and translated code
    bool fill_tlb(std::uint64_t address, int access, int mmu_index);
    /// Tells why fill_tlb refused, by the exit code to leave with.
    std::uint32_t refuse_fill(std::uint64_t address, int access, int mmu_index, bool in_block);
    bool ask_client(std::uint64_t address, int access, int mmu_index);
    /// Flushes as the guest knows them: what the client said is forgotten.
    void flush_tlb();
    void flush_tlb_page(std::uint64_t linear);
    void library_flushes_tlb() noexcept;  ///< on its own account, at a CR3 write
    /// The library's TLB alone.
    void empty_tlb() override;
    void empty_tlb_page(std::uint64_t linear);
    void drop_code(std::uint64_t page) override;
    bool code_buffer_used_up() const noexcept;
    void begin_translation(std::uint64_t pc, std::uint32_t flags) noexcept;
    /// The block that is being translated runs at CPL 3 with RFLAGS.AC.
    bool checks_alignment() const noexcept;
    int instructions_a_block() const noexcept;
    /// How many instructions a block may have after all that came out with `accesses` to memory; 0:
    /// it stays as it is.
    static int instructions_instead(const void* block, unsigned accesses) noexcept;
    /// The exit code to leave with when the library would abort the process.
    std::uint32_t library_gave_up() noexcept;
    void end_translation(void* block) noexcept;
    void count_instructions(void* block) noexcept;
    void flush_code();

    // setup.cpp
    void open_library();
    void map_memory();
    void find_state();
    void enter_guest_mode();
    void reset_state();
    void set_intercepts(const OptionalIntercepts& intercepts);

    // state.cpp
    void recompute_modes();

    template <typename T>
    T load(std::size_t offset) const noexcept {
        T value;
        std::memcpy(&value, environment + offset, sizeof value);
        return value;
    }
    template <typename T>
    void store(std::size_t offset, T value) noexcept {
        std::memcpy(environment + offset, &value, sizeof value);
    }
    std::size_t segment_offset(SegmentName name) const noexcept {
        return layout.segment_at[static_cast<unsigned>(name)];
    }
    std::uint32_t hflags() const noexcept { return load<std::uint32_t>(layout.hflags); }
    void set_hflags(std::uint32_t value) noexcept { store(layout.hflags, value); }
    std::uint64_t cs_base() const noexcept {
        return load<std::uint64_t>(segment_offset(SegmentName::cs) + layout.base);
    }

    // Hot: the block hook.
    std::uint64_t code_bytes = 0;
    std::uint64_t threshold = 0;  ///< blocks begin unasked below this
    std::uint64_t instructions = 0;
    std::uint64_t block_pc = 0;    ///< of the latest block counted whole
    std::uint32_t block_work = 0;  ///< its code bytes and, from bit 16, instructions; 0: none

    EngineGroup::Shared& shared;
    EngineClient& client;
    const Layout& layout;
    uc_engine* uc = nullptr;
    std::uint8_t* environment = nullptr;  ///< the library's processor state
    void* processor = nullptr;            ///< the library's processor object
    std::unique_ptr<PrivatePages> private_pages;

    std::uint64_t limit = 0;
    bool stop_requested = false;
    bool running = false;     ///< inside uc_emu_start
    bool in_handler = false;  ///< inside handle_exit
    bool limit_reached = false;
    std::exception_ptr failure;
    bool a20 = true;

    Intercept intercept;               ///< what the interposed function found out
    bool far_transfer_passes = false;  ///< that of intercept.far
    bool between_blocks = false;       ///< the exit comes after a completed block
    Assist assist;
    OptionalIntercepts optional;
    Watchpoints watchpoints{};
    bool watching = false;              ///< one is enabled
    std::uint32_t watchpoints_met = 0;  ///< by the instruction that runs alone
    std::uint64_t watched_rip = 0;

    Translations translations;
    bool library_tlb_used = true;  ///< filled since it was emptied

    // Translated code.
    const std::uint8_t* code_buffer = nullptr;
    std::uint64_t code_buffer_bytes = 0;
    std::uint64_t code_used_estimate = 0;
    bool code_buffer_full = false;
    bool translating = false;
    std::uint64_t translating_pc = 0;
    std::uint32_t translating_flags = 0;  ///< hflags, and RFLAGS.IOPL, TF, RF, VM, AC
    // Linear pages where blocks are one instruction each; all ones: none.
    std::uint64_t before_unreachable = ~std::uint64_t{0};  ///< the next page can't be fetched
    std::uint64_t untranslatable = ~std::uint64_t{0};      ///< the library gave up on a block
    Counters counters;
};

}  // namespace hvsim::cpu::engine
