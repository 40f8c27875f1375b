#pragma once
// The execution engine of one virtual processor: runs guest instructions and reports, with exact
// and restartable state, everything that needs the architecture around it. The only room that knows
// the library behind it (Unicorn 2.1.x).
#include <array>
#include <cstdint>
#include <memory>

#include "sim/ram.h"

namespace hvsim::cpu::engine {

enum class Access : std::uint8_t { read, write, execute };

/// General registers in hardware encoding order.
enum Gpr : unsigned { kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi, kR8, kR15 = 15, kGprCount };

/// Segment registers in hardware encoding order; then the system segments.
enum class SegmentName : unsigned { es, cs, ss, ds, fs, gs, ldtr, tr };
inline constexpr unsigned kSegmentCount = 8;

/// A segment register with its hidden part.
struct Segment {
    std::uint16_t selector = 0;
    std::uint32_t limit = 0;
    std::uint64_t base = 0;
    /// SDM 3C 25.4.1, table 25-2: type [3:0], S 4, DPL [6:5], P 7, AVL 12, L 13, D/B 14, G 15,
    /// unusable 16.
    std::uint32_t access_rights = 0;
    bool operator==(const Segment&) const = default;
};

/// GDTR or IDTR.
struct TableRegister {
    std::uint64_t base = 0;
    std::uint16_t limit = 0;
    bool operator==(const TableRegister&) const = default;
};

/// The answer to a TLB miss.
struct Translation {
    std::uint64_t physical = 0;  ///< system physical address of the 4 KiB page
    bool writable = false;       ///< stores may go through without another miss (D bits are set)
    bool executable = false;     ///< instruction fetches may; they ask all the same
};

/// What stopped an instruction. Values below 0x400 are SVM exit codes (APM 2 appendix C), which the
/// library reports; the others are the engine layer's own.
enum class InterceptCode : std::uint32_t {
    cr_read = 0x000,    ///< + register number
    cr_write = 0x010,   ///< + register number; also CLTS, LMSW
    dr_read = 0x020,    ///< + register number
    dr_write = 0x030,   ///< + register number
    exception = 0x040,  ///< + vector; error_code valid where the vector has one
    idtr_read = 0x066,
    gdtr_read = 0x067,
    ldtr_read = 0x068,
    tr_read = 0x069,
    idtr_write = 0x06a,
    gdtr_write = 0x06b,
    ldtr_write = 0x06c,
    tr_write = 0x06d,
    rdtsc = 0x06e,  ///< RDTSC and RDTSCP
    rdpmc = 0x06f,
    pushf = 0x070,
    popf = 0x071,
    cpuid = 0x072,
    rsm = 0x073,
    iret = 0x074,
    software_interrupt = 0x075,  ///< INT n, INT3, INTO; nothing was executed
    invd = 0x076,
    pause = 0x077,
    hlt = 0x078,
    invlpg = 0x079,
    msr = 0x07c,  ///< error_code: 0 RDMSR, 1 WRMSR
    shutdown = 0x07f,
    wbinvd = 0x089,  ///< WBINVD, INVD, WBNOINVD
    monitor = 0x08a,
    mwait = 0x08b,
    xsetbv = 0x08d,       ///< at CPL 0: nothing was executed
    io = 0x400,           ///< IN, OUT, INS, OUTS: nothing was executed; see Intercept::io
    syscall = 0x401,      ///< SYSCALL: nothing was executed
    sysenter = 0x402,     ///< SYSENTER: nothing was executed
    sysexit = 0x403,      ///< SYSEXIT: nothing was executed. (SYSRET runs natively.)
    page_fault = 0x404,   ///< translate() refused; see Intercept::fault
    watchpoint = 0x405,   ///< the instruction that has completed met one; see Intercept::watch
    far_jump = 0x406,     ///< far JMP outside IA-32e mode: nothing was executed; see Intercept::far
    far_call = 0x407,     ///< far CALL, likewise
    task_return = 0x408,  ///< IRET with RFLAGS.NT set outside IA-32e mode: nothing was executed
};

struct Intercept {
    InterceptCode code{};
    std::uint32_t error_code = 0;
    struct {
        std::uint16_t port = 0;
        std::uint8_t size = 0;  ///< bytes: 1, 2, 4
        bool in = false;
    } io;
    struct {
        std::uint64_t linear = 0;  ///< the first byte that could not be reached, for CR2
        bool exact = false;        ///< `linear` has its low 12 bits: always so
        Access access{};
        bool user = false;
        /// A fetch between two blocks: the one that ran before, which ends with what led here.
        std::uint64_t previous_block = 0;
        std::uint32_t previous_bytes = 0;  ///< 0: none, or not known
    } fault;
    /// Of `watchpoint`, and of the #DB of a single step.
    struct {
        std::uint32_t met = 0;  ///< bit i: the instruction accessed what watchpoint i watches
        std::uint64_t rip = 0;  ///< of that instruction
    } watch;
    struct {
        std::uint16_t selector = 0;
        std::uint32_t next = 0;  ///< EIP behind the instruction; also of task_return
    } far;
};

/// A range of linear addresses whose accesses by instructions are reported.
struct Watchpoint {
    std::uint64_t linear = 0;
    std::uint8_t bytes = 0;  ///< a power of two, to which `linear` is aligned; 0: none
    bool reads = false, writes = false;
    bool enabled = false;  ///< else it is only told beside another one of the same page
    bool operator==(const Watchpoint&) const = default;
};
using Watchpoints = std::array<Watchpoint, 4>;

class MmioHandler;

/// Receives what the engine can't decide. All calls happen inside Engine::run or
/// Engine::run_assisted on the caller's thread. An exception thrown from on_intercept or the
/// MMIO calls stops the engine and leaves run() (never through the library's frames).
class EngineClient {
  public:
    virtual ~EngineClient() = default;

    /// TLB miss at `linear` (all 64 bits, not masked). Comes once a page, privilege (with SMAP in
    /// force: also RFLAGS.AC) and kind of access between flushes, a store after a load only where
    /// the answer wasn't writable; the library's own caches don't show. `user`: checked with user
    /// rights (accesses to descriptor tables and the TSS come as supervisor accesses also at CPL 3,
    /// where RFLAGS.AC does not lift SMAP for them). Returning false refuses: the instruction is
    /// abandoned and on_intercept(page_fault) follows; so does a physical address outside of
    /// memory. State must not be changed here, and RIP and the arithmetic flags are not exact.
    virtual bool translate(std::uint64_t linear, Access access, bool user,
                           Translation& out) noexcept = 0;

    /// translate() has just refused a page that an assisted instruction accesses besides the one
    /// it is assisted for: who serves it, at which physical page. nullptr: nobody, as for others.
    virtual MmioHandler* assisting(std::uint64_t&) noexcept { return nullptr; }

    /// An instruction was intercepted before it had any effect (unless its code says otherwise).
    /// RIP is exactly on it. The state may be changed freely, RIP included; execution goes on from
    /// there unless request_stop() was called.
    virtual void on_intercept(const Intercept& intercept) = 0;

    /// The executed code bytes reached the limit, at a block boundary; raise the limit to go on
    /// without leaving run(), or do nothing to leave it. The state is exact and may be changed as
    /// in on_intercept.
    virtual void on_limit() {}
};

/// Serves the page of one assisted instruction (see Engine::run_assisted). `size` is 1, 2, 4 or 8.
/// A read-modify-write makes a read and a write. DEVIATION: an access that is not aligned to its
/// size makes two aligned reads, or writes of single bytes.
class MmioHandler {
  public:
    virtual ~MmioHandler() = default;
    virtual std::uint64_t mmio_read(std::uint64_t physical, unsigned size) = 0;
    virtual void mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) = 0;
};

/// Intercepts that may be switched at any time; everything that has no switch here is always on
/// (exceptions, INT n, DR writes, INVLPG, MSRs outside the native set, RDTSC, CPUID, HLT, I/O,
/// SYSCALL/SYSENTER, CR0, CR4 and CR8 writes, shutdown, IDTR/GDTR/LDTR/TR loads, WBINVD, RDPMC).
struct OptionalIntercepts {
    bool cr0_read = false, cr3_read = false, cr4_read = false, cr8_read = true;
    bool cr3_write = false;
    bool dr_read = true;
    bool pause = false, pushf = false, popf = false, iret = false;
    bool descriptor_reads = false;  ///< SIDT, SGDT, SLDT, STR
    bool monitor_mwait = true;
    bool native_msrs = false;        ///< also the MSRs that the library serves itself
    std::uint8_t cr3_bits = 64;      ///< MOV to CR3 of a wider value is intercepted in any case
    bool sysret_checks_rip = false;  ///< SYSRET to a non-canonical RCX is #GP(0), as on Intel
    bool operator==(const OptionalIntercepts&) const = default;
};

/// Entries into guests and exits, by what they load and save.
enum class Transition : std::uint8_t { vmx, svm };

/// How one run ended.
enum class RunEnd { limit, stop_requested };

/// All engines of a machine, which it outlives: shares the knowledge which pages hold translated
/// code or may be written (no TLB entry is ever writable and executable; a page's blocks are
/// dropped before it is written).
class EngineGroup {
  public:
    /// Calibrates the library on first use. Throws ConfigError, naming the library's version, when
    /// its self-test fails. `code_buffer_bytes`: for each engine.
    EngineGroup(sim::Ram& ram, std::uint64_t code_buffer_bytes);
    ~EngineGroup();
    struct Shared;
    Shared& shared() noexcept { return *shared_; }

  private:
    friend class SelfTest;
    struct Unproven {};
    EngineGroup(sim::Ram& ram, std::uint64_t code_buffer_bytes, Unproven);

    std::unique_ptr<Shared> shared_;
};

/// Starts in the state after power-up (SDM 3A table 10-1) with limit 0. DEVIATIONS: a store that
/// changes a later instruction of its own block is seen from the next block on; far branches, far
/// RET and IRET to a non-canonical address fault at the target; outside 64-bit mode limits of data
/// segments aren't checked, nor that they are null; #AC isn't raised for operands of x87 and FXSAVE
/// that have no 2, 4 or 8 bytes, and where 16 bytes aren't aligned to 8.
class Engine {
  public:
    Engine(EngineGroup& group, EngineClient& client);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // --- running ---

    /// Executes until the limit, or until request_stop() in a callback.
    RunEnd run();
    /// Lets the next instruction, the one at RIP, run with data accesses to the linear page of
    /// `linear` served by `handler` (which sees them at the 4 KiB page of `physical`), whatever
    /// translate() says of that page; a repeated string instruction runs one iteration. Within
    /// on_intercept it takes effect when that returns, between runs with the next run(); the limit
    /// doesn't come in between. It ends with the instruction, or with another intercept that the
    /// instruction meets first; such an instruction starts again without it. `handler` must live
    /// until then.
    void run_assisted(std::uint64_t linear, std::uint64_t physical, MmioHandler& handler);
    void request_stop() noexcept;
    /// The far JMP or CALL at RIP, intercepted, is to be executed by the library after all.
    void pass_far_transfer() noexcept;

    /// Code bytes executed so far: exact inside on_intercept and after run(), by RIP.
    std::uint64_t code_bytes() const noexcept;
    /// Instructions executed, without those that the client performed; of a block that was left in
    /// the middle, in proportion to its bytes. For reports: time never depends on it.
    std::uint64_t instructions() const noexcept;
    /// on_limit() is called at the first block boundary at or after this many code bytes; a block
    /// has at most 32 instructions. May be changed in any callback, also downwards.
    void set_limit(std::uint64_t code_bytes) noexcept;
    std::uint64_t limit() const noexcept;

    // --- state (between runs and inside on_intercept; reading only inside translate) ---

    std::uint64_t gpr(unsigned index) const;
    void set_gpr(unsigned index, std::uint64_t value);
    std::uint64_t rip() const;
    void set_rip(std::uint64_t value);
    std::uint64_t rflags() const;
    /// RFLAGS but for CF, PF, AF, ZF, SF, DF and OF, which are 0: cheaper.
    std::uint64_t system_flags() const;
    void set_rflags(std::uint64_t value);  ///< bit 1 is forced to 1, TF, VM, RF as given
    Segment segment(SegmentName name) const;
    void set_segment(SegmentName name, const Segment& segment);  ///< cheap where it changes nothing
    TableRegister gdtr() const;
    TableRegister idtr() const;
    void set_gdtr(const TableRegister& value);
    void set_idtr(const TableRegister& value);
    /// CR0, CR2, CR3, CR4 (index 0, 2, 3, 4). Setting recomputes the derived modes; it does not
    /// flush the TLB by itself.
    std::uint64_t cr(unsigned index) const;
    void set_cr(unsigned index, std::uint64_t value);
    std::uint64_t efer() const;
    void set_efer(std::uint64_t value);
    unsigned cpl() const;
    bool in_64bit_code() const;
    bool in_32bit_code() const;  ///< or 64-bit code
    /// DR0 to DR3, DR6, DR7: values only, what they do is the client's (set_watchpoints()).
    std::uint64_t dr(unsigned index) const;
    void set_dr(unsigned index, std::uint64_t value);
    /// STI or MOV SS shadow: no interrupt before the next instruction has run.
    bool interrupt_shadow() const;
    void set_interrupt_shadow(bool value);
    bool nmi_blocked() const;  ///< by a delivered NMI, until IRET
    void set_nmi_blocked(bool value);

    /// MSRs that the library keeps and serves itself: STAR, LSTAR, CSTAR, FMASK, FS.base, GS.base,
    /// KernelGSbase, TSC_AUX, SYSENTER_CS/ESP/EIP. False: not one of them.
    static bool is_native_msr(std::uint32_t msr) noexcept;
    std::uint64_t native_msr(std::uint32_t msr) const;
    void set_native_msr(std::uint32_t msr, std::uint64_t value);
    std::uint64_t xcr0() const;
    void set_xcr0(std::uint64_t value);

    /// x87, MMX, XMM, MXCSR in the 512-byte FXSAVE format of 64-bit mode (SDM 1 10.5.1).
    std::array<std::uint8_t, 512> fxsave() const;
    void fxrstor(const std::array<std::uint8_t, 512>& image);

    /// Takes over what a transition leaves in a processor's registers: general and debug registers,
    /// CR2, the other native MSRs, XCR0, x87 and SSE state, blocking of interrupts and NMIs; with
    /// SVM also FS, GS, LDTR, TR and SYSENTER's MSRs. Not while this engine runs.
    void take_shared_state(const Engine& other, Transition transition);

    void set_optional_intercepts(const OptionalIntercepts& intercepts);

    /// Costs only accesses to the pages that hold one. Of an instruction that meets one, the report
    /// comes when it has completed, a repeated string instruction's iteration counting as one.
    void set_watchpoints(const Watchpoints& watchpoints);

    // --- caches ---
    /// The page from which instructions at `linear` were fetched since the last flush, by user or
    /// supervisor code; false: not known.
    bool fetched_page(std::uint64_t linear, bool user, std::uint64_t& physical) const noexcept;
    void flush_tlb();
    void flush_tlb_page(std::uint64_t linear);
    /// Masks address line 20 when off (real mode wrap-around).
    void set_a20(bool enabled);

    struct Counters {
        std::uint64_t runs = 0, intercepts = 0, tlb_fills = 0, tlb_flushes = 0;
        std::uint64_t blocks_translated = 0, code_invalidations = 0, code_buffer_flushes = 0;
    };
    const Counters& counters() const noexcept;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

/// "Unicorn 2.1.1", for reports.
const char* library_version();

}  // namespace hvsim::cpu::engine
