// Finds the fields of the library's processor state: two scratch instances get different markers
// through public calls and instructions, and a field is where exactly one place shows both.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "cpu/engine/layout.h"
#include "cpu/engine/library.h"
#include "sim/error.h"

namespace hvsim::cpu::engine {
namespace {

[[noreturn]] void refuse(const std::string& problem) {
    throw sim::ConfigError(
        fmt::format("{}: the engine layer does not know this build: {}", library_version(),
                    problem),
        "use the static library of Unicorn 2.1.1 to 2.1.4 (scripts/fetch-unicorn)");
}

void check(uc_err error, const char* what) {
    if (error != UC_ERR_OK) refuse(fmt::format("{}: {}", what, uc_strerror(error)));
}

constexpr std::array<int, kGprCount> kGprNames = {
    UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX, UC_X86_REG_RSP, UC_X86_REG_RBP,
    UC_X86_REG_RSI, UC_X86_REG_RDI, UC_X86_REG_R8,  UC_X86_REG_R9,  UC_X86_REG_R10, UC_X86_REG_R11,
    UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15};

constexpr std::uint32_t kMsrEfer = 0xc0000080;
constexpr std::uint64_t kEferSce = 1, kEferLme = 1 << 8, kEferNxe = 1 << 11, kEferSvme = 1 << 12;
constexpr std::size_t kScratchBytes = 0x10000;
constexpr std::uint64_t kCodePage = 0x1000, kVmcb = 0x4000, kHostSave = 0x8000;
// Offsets in a VMCB, APM 2 appendix B.
constexpr std::size_t kVmcbCrRead = 0, kVmcbCrWrite = 2, kVmcbDrRead = 4, kVmcbDrWrite = 6,
                      kVmcbExceptions = 8, kVmcbIntercepts = 0xc, kVmcbRip = 0x578;
constexpr std::uint64_t kInterceptHlt = std::uint64_t{1} << (0x78 - 0x60);

/// One instance of the library with 64 KiB of memory; state is read as a snapshot.
class Scratch {
  public:
    explicit Scratch(std::uint64_t seed) : seed_(seed), memory_(kScratchBytes + 0xfff) {
        check(uc_open(UC_ARCH_X86, UC_MODE_64, &uc_), "uc_open");
        uc_ctl_set_cpu_model(uc_, UC_CPU_X86_EPYC);  // has SVM
        uc_ctl_set_tcg_buffer_size(uc_, 1U << 20);
        check(uc_ctl_tlb_mode(uc_, UC_TLB_VIRTUAL), "uc_ctl_tlb_mode");
        check(uc_ctl_exits_enable(uc_), "uc_ctl_exits_enable");
        void* aligned = memory_.data();
        std::size_t space = memory_.size();
        aligned = std::align(0x1000, kScratchBytes, aligned, space);
        bytes_ = static_cast<std::uint8_t*>(aligned);
        check(uc_mem_map_ptr(uc_, 0, kScratchBytes, UC_PROT_ALL, bytes_), "uc_mem_map_ptr");
        uc_hook hook = 0;
        check(uc_hook_add(uc_, &hook, UC_HOOK_INTR, reinterpret_cast<void*>(&on_interrupt), nullptr,
                          1, 0),
              "uc_hook_add");
        // A context's head is about as long as what the state still has behind the copied part.
        state_bytes_ = uc_context_size(uc_);
        run({0xee, 0xf4});  // OUT DX,AL: interposed, tells where the state is
        environment_ = thread_context.environment;
        if (environment_ == nullptr) refuse("OUT does not arrive");
    }
    ~Scratch() { uc_close(uc_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    /// The marker named `n`, different for each seed.
    std::uint64_t marker(unsigned n) const {
        std::uint64_t z = (seed_ << 32) + (n + 1) * 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    std::uint64_t pick(std::uint64_t first, std::uint64_t second) const {
        return seed_ == 1 ? first : second;
    }
    template <typename T>
    void write(int name, const T& value) {
        check(uc_reg_write(uc_, name, &value), "uc_reg_write");
    }
    void write_msr(std::uint32_t msr, std::uint64_t value) {
        const uc_x86_msr request = {msr, value};
        write(UC_X86_REG_MSR, request);
    }
    std::uint64_t msr(std::uint32_t msr) {
        uc_x86_msr request = {msr, 0};
        check(uc_reg_read(uc_, UC_X86_REG_MSR, &request), "uc_reg_read");
        return request.value;
    }
    std::uint64_t read(int name) {
        std::uint64_t value = 0;
        check(uc_reg_read(uc_, name, &value), "uc_reg_read");
        return value;
    }
    /// Runs `code` until something arrives in UC_HOOK_INTR.
    void run(std::initializer_list<std::uint8_t> code) {
        std::copy(code.begin(), code.end(), bytes_ + kCodePage + at_);
        const uc_err error = uc_emu_start(uc_, kCodePage + at_, 0, 0, 0);
        at_ += 64;
        if (error != UC_ERR_OK) refuse(fmt::format("a scratch run: {}", uc_strerror(error)));
    }
    template <typename T>
    void poke(std::uint64_t physical, T value) {
        std::memcpy(bytes_ + physical, &value, sizeof value);
    }
    std::uint64_t next_code_address() const { return kCodePage + at_; }
    std::vector<std::uint8_t> snapshot() const {
        return {environment_, environment_ + state_bytes_};
    }

  private:
    static void on_interrupt(uc_engine* uc, std::uint32_t, void*) { uc_emu_stop(uc); }

    std::uint64_t seed_;
    uc_engine* uc_ = nullptr;
    std::vector<std::uint8_t> memory_;
    std::uint8_t* bytes_ = nullptr;
    std::uint8_t* environment_ = nullptr;
    std::size_t state_bytes_ = 0;
    std::uint64_t at_ = 0;
};

/// Snapshots of both instances taken at the same step.
struct Pair {
    std::vector<std::uint8_t> first, second;

    template <typename T>
    static T load(const std::vector<std::uint8_t>& state, std::size_t offset) {
        T value{};
        if (offset + sizeof value <= state.size())
            std::memcpy(&value, state.data() + offset, sizeof value);
        return value;
    }
    template <typename T>
    bool shows(std::size_t offset, T a, T b) const {
        return load<T>(first, offset) == a && load<T>(second, offset) == b;
    }
    /// The one offset where `matches(a, b)`.
    template <typename T, typename Matches>
    std::size_t find_if(const char* name, Matches matches) const {
        std::size_t found = 0;
        unsigned count = 0;
        for (std::size_t at = 0; at + sizeof(T) <= first.size(); at += sizeof(T)) {
            if (!matches(load<T>(first, at), load<T>(second, at))) continue;
            found = at;
            ++count;
        }
        if (count != 1) refuse(fmt::format("{} places fit {}", count, name));
        return found;
    }
    template <typename T>
    std::size_t find(const char* name, T a, T b) const {
        return find_if<T>(name, [=](T x, T y) { return x == a && y == b; });
    }
};

class Calibration {
  public:
    Layout run() {
        mark_registers();
        mark_segments();
        mark_vectors();
        const Pair registers = take();
        find_registers(registers);
        find_segments(registers);
        find_vectors(registers);
        find_msrs(registers);
        find_hidden_flags(registers);
        find_by_instructions();
        find_intercepts();
        return layout_;
    }

  private:
    // Numbers of markers.
    enum : unsigned {
        kGpr = 0,
        kRip = 16,
        kCr2,
        kCr3,
        kDr = 20,
        kMsr = 30,
        kSegment = 60,
        kIntercept = 80,
        kX87 = 100,
        kXmm,
    };
    static constexpr std::array<std::uint32_t, 7> kMsrs = {
        0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,  // STAR, LSTAR, CSTAR, FMASK
        0xc0000102, 0x175,      0x176};                  // KernelGSbase, SYSENTER_ESP, SYSENTER_EIP

    template <typename Step>
    void both(Step step) {
        step(first_);
        step(second_);
    }
    Pair take() const { return {first_.snapshot(), second_.snapshot()}; }

    void mark_registers() {
        both([](Scratch& s) {
            for (unsigned i = 0; i < kGprCount; ++i) s.write(kGprNames[i], s.marker(kGpr + i));
            s.write(UC_X86_REG_RIP, s.marker(kRip));
            s.write(UC_X86_REG_CR2, s.marker(kCr2));
            s.write(UC_X86_REG_CR3, s.marker(kCr3));
            for (int i : {0, 1, 2, 3, 6, 7})
                s.write(UC_X86_REG_DR0 + i, s.marker(kDr + static_cast<unsigned>(i)));
            s.write(UC_X86_REG_RFLAGS, flags_marker(s));
            for (unsigned i = 0; i < kMsrs.size(); ++i) s.write_msr(kMsrs[i], s.marker(kMsr + i));
            s.write_msr(0x174, s.marker(kMsr + 8) & 0xffff);
            s.write_msr(0xc0000103, s.marker(kMsr + 9) & 0xffffffff);
            s.write_msr(kMsrEfer, kEferLme | s.pick(kEferSce | kEferNxe, kEferSvme | kEferNxe));
            s.write(UC_X86_REG_CR4, s.pick(0x20 | 0x200, 0x20));  // PAE; OSFXSR
            const std::uint64_t cr0 = s.read(UC_X86_REG_CR0);
            s.write(UC_X86_REG_CR0, (cr0 & ~std::uint64_t{8}) | s.pick(0, 8));  // TS
        });
    }
    static std::uint64_t flags_marker(const Scratch& s) { return s.pick(0x244002, 0x201002); }

    void mark_segments() {
        both([](Scratch& s) {
            for (int table : {0, 1}) {
                uc_x86_mmr value = {};
                value.base = s.marker(kSegment + static_cast<unsigned>(table));
                value.limit = s.marker(kSegment + 2 + static_cast<unsigned>(table)) & 0xffff;
                s.write(table == 0 ? UC_X86_REG_GDTR : UC_X86_REG_IDTR, value);
            }
            for (unsigned system : {0U, 1U}) {
                uc_x86_mmr value = {};
                value.selector = static_cast<std::uint16_t>(s.marker(kSegment + 4 + system));
                value.base = s.marker(kSegment + 6 + system);
                value.limit = static_cast<std::uint32_t>(s.marker(kSegment + 8 + system));
                value.flags = static_cast<std::uint32_t>(s.marker(kSegment + 10 + system));
                s.write(system == 0 ? UC_X86_REG_LDTR : UC_X86_REG_TR, value);
            }
            s.write(UC_X86_REG_FS_BASE, s.marker(kSegment + 12));
            s.write(UC_X86_REG_GS_BASE, s.marker(kSegment + 13));
            s.write(UC_X86_REG_DS, static_cast<std::uint16_t>(s.marker(kSegment + 14)));
        });
    }

    using Xmm = std::array<std::uint64_t, 2>;
    static constexpr unsigned kXmmCount = 16;

    void mark_vectors() {
        both([](Scratch& s) {
            s.write(UC_X86_REG_FPSW,
                    static_cast<std::uint16_t>(s.pick(0x4145 | kTop1 << 11, 0x0523 | kTop2 << 11)));
            Xmm x87{s.marker(kX87), 0x3fff};
            s.write(UC_X86_REG_FP0, x87);
            s.write(UC_X86_REG_MXCSR, static_cast<std::uint32_t>(s.pick(0x1fa1, 0x3f82)));
            for (unsigned i = 0; i < kXmmCount; ++i)
                s.write(UC_X86_REG_XMM0 + static_cast<int>(i), Xmm{s.marker(kXmm + i), 0});
        });
    }
    static constexpr std::uint32_t kTop1 = 2, kTop2 = 5;  // of the x87 stack

    template <typename T = std::uint64_t>
    std::size_t find_marker(const Pair& pair, const char* name, unsigned n) const {
        return pair.find<T>(name, static_cast<T>(first_.marker(n)),
                            static_cast<T>(second_.marker(n)));
    }
    template <typename T>
    void expect(const Pair& pair, const char* name, std::size_t offset, T a, T b) const {
        if (!pair.shows<T>(offset, a, b)) refuse(fmt::format("{} is not where it should be", name));
    }
    void expect_marker(const Pair& pair, const char* name, std::size_t offset, unsigned n) const {
        expect<std::uint64_t>(pair, name, offset, first_.marker(n), second_.marker(n));
    }

    void find_registers(const Pair& pair) {
        layout_.gpr = find_marker(pair, "RAX", kGpr);
        for (unsigned i = 0; i < kGprCount; ++i)
            expect_marker(pair, "a general register", layout_.gpr + 8 * i, kGpr + i);
        layout_.rip = find_marker(pair, "RIP", kRip);
        layout_.cr = find_marker(pair, "CR2", kCr2) - 16;
        expect_marker(pair, "CR3", layout_.cr + 24, kCr3);
        expect<std::uint64_t>(pair, "CR0", layout_.cr, first_.read(UC_X86_REG_CR0),
                              second_.read(UC_X86_REG_CR0));
        expect<std::uint64_t>(pair, "CR4", layout_.cr + 32, first_.read(UC_X86_REG_CR4),
                              second_.read(UC_X86_REG_CR4));
        layout_.dr = find_marker(pair, "DR0", kDr);
        for (unsigned i : {1U, 2U, 3U, 6U, 7U})
            expect_marker(pair, "a debug register", layout_.dr + 8 * i, kDr + i);
        layout_.rflags =
            pair.find<std::uint64_t>("RFLAGS", flags_marker(first_), flags_marker(second_));
    }

    void find_segments(const Pair& pair) {
        const std::size_t base = find_marker(pair, "TR base", kSegment + 7);
        layout_.tr = find_near<std::uint32_t>(pair, "TR selector", base, kSegment + 5, 0xffff);
        layout_.base = base - layout_.tr;
        layout_.limit =
            find_near<std::uint32_t>(pair, "TR limit", base, kSegment + 9, 0xffffffff) - layout_.tr;
        layout_.flags =
            find_near<std::uint32_t>(pair, "TR flags", base, kSegment + 11, 0xffffffff) -
            layout_.tr;
        layout_.ldtr = find_marker(pair, "LDTR base", kSegment + 6) - layout_.base;
        layout_.gdtr = find_marker(pair, "GDTR base", kSegment) - layout_.base;
        layout_.idtr = find_marker(pair, "IDTR base", kSegment + 1) - layout_.base;
        expect_limit(pair, layout_.gdtr, kSegment + 2);
        expect_limit(pair, layout_.idtr, kSegment + 3);
        const std::size_t fs = find_marker(pair, "FS base", kSegment + 12);
        layout_.segment_stride = find_marker(pair, "GS base", kSegment + 13) - fs;
        layout_.segments = fs - layout_.base - 4 * layout_.segment_stride;
        for (std::size_t i = 0; i < 6; ++i)
            layout_.segment_at[i] = layout_.segments + i * layout_.segment_stride;
        layout_.segment_at[6] = layout_.ldtr;
        layout_.segment_at[7] = layout_.tr;
        expect<std::uint16_t>(pair, "DS selector",
                              layout_.segments + 3 * layout_.segment_stride + layout_.selector,
                              static_cast<std::uint16_t>(first_.marker(kSegment + 14)),
                              static_cast<std::uint16_t>(second_.marker(kSegment + 14)));
    }
    /// The one place within a segment's size of `base`.
    template <typename T>
    std::size_t find_near(const Pair& pair, const char* name, std::size_t base, unsigned n,
                          std::uint64_t mask) const {
        std::size_t found = 0;
        unsigned count = 0;
        for (std::size_t at = base - 16; at <= base + 16; at += sizeof(T)) {
            if (!pair.shows<T>(at, static_cast<T>(first_.marker(n) & mask),
                               static_cast<T>(second_.marker(n) & mask)))
                continue;
            found = at;
            ++count;
        }
        if (count != 1) refuse(fmt::format("{} places fit {}", count, name));
        return found;
    }
    void expect_limit(const Pair& pair, std::size_t table, unsigned n) const {
        expect<std::uint32_t>(pair, "a table limit", table + layout_.limit,
                              static_cast<std::uint32_t>(first_.marker(n) & 0xffff),
                              static_cast<std::uint32_t>(second_.marker(n) & 0xffff));
    }

    /// They follow each other; what lies between belongs to them.
    void find_vectors(const Pair& pair) {
        const std::size_t status = pair.find<std::uint16_t>("FPSW", 0x4145, 0x0523);
        layout_.vectors = status - 4;
        expect(pair, "TOP", layout_.vectors, kTop1, kTop2);
        const std::size_t x87 = find_marker(pair, "an x87 register", kX87);
        const std::size_t mxcsr = pair.find<std::uint32_t>("MXCSR", 0x1fa1, 0x3f82);
        const std::size_t xmm = find_marker(pair, "XMM0", kXmm);
        const std::size_t stride = find_marker(pair, "XMM1", kXmm + 1) - xmm;
        for (unsigned i = 2; i < kXmmCount; ++i)
            expect_marker(pair, "an XMM register", xmm + i * stride, kXmm + i);
        layout_.vectors_bytes = xmm + kXmmCount * stride - layout_.vectors;
        constexpr std::size_t kMost = 2048;
        if (!(status < x87 && x87 < mxcsr && mxcsr < xmm) || layout_.vectors_bytes > kMost)
            refuse("x87 and SSE state are not one piece");
    }

    void find_msrs(const Pair& pair) {
        layout_.star = find_marker(pair, "STAR", kMsr);
        layout_.lstar = find_marker(pair, "LSTAR", kMsr + 1);
        layout_.cstar = find_marker(pair, "CSTAR", kMsr + 2);
        layout_.fmask = find_marker(pair, "FMASK", kMsr + 3);
        layout_.kernel_gs_base = find_marker(pair, "KernelGSbase", kMsr + 4);
        layout_.sysenter_esp = find_marker(pair, "SYSENTER_ESP", kMsr + 5);
        layout_.sysenter_eip = find_marker(pair, "SYSENTER_EIP", kMsr + 6);
        layout_.sysenter_cs = pair.find<std::uint32_t>(
            "SYSENTER_CS", first_.marker(kMsr + 8) & 0xffff, second_.marker(kMsr + 8) & 0xffff);
        layout_.tsc_aux = pair.find<std::uint64_t>("TSC_AUX", first_.marker(kMsr + 9) & 0xffffffff,
                                                   second_.marker(kMsr + 9) & 0xffffffff);
    }
    /// The words that show what the first instance has and the second lacks: CR4.OSFXSR and not
    /// CR0.TS.
    void find_hidden_flags(const Pair& pair) {
        constexpr std::uint32_t kTs = 4U << hflag::kMpEmTsShift;
        layout_.hflags =
            pair.find_if<std::uint32_t>("hflags", [](std::uint32_t a, std::uint32_t b) {
                const std::uint32_t difference = (a ^ b) & ~hflag::kSvme;
                return difference == (hflag::kOsFxsr | kTs) && (a & hflag::kOsFxsr) != 0 &&
                       (b & kTs) != 0;
            });
        layout_.hflags2 = layout_.hflags + 4;  // the self-test proves it with an IRET
        layout_.efer = pair.find<std::uint64_t>("EFER", first_msr_efer(), second_.msr(kMsrEfer));
    }
    std::uint64_t first_msr_efer() { return first_.msr(kMsrEfer); }

    void find_by_instructions() {
        // CR4.OSXSAVE, then XSETBV of 3 or 1.
        both([](Scratch& s) {
            s.write(UC_X86_REG_CR4, std::uint64_t{0x20 | 0x200 | 0x40000});
            s.write(UC_X86_REG_RAX, s.pick(3, 1));
            s.write(UC_X86_REG_RCX, std::uint64_t{0});
            s.write(UC_X86_REG_RDX, std::uint64_t{0});
            // xsetbv; mov eax, 0x5555; out dx, al
            s.run({0x0f, 0x01, 0xd1, 0xb8, 0x55, 0x55, 0x00, 0x00, 0xee});
        });
        layout_.xcr0 = take().find<std::uint64_t>("XCR0", 3, 1);
        // #GP with a selector as error code; its RPL bits keep it apart from the register.
        both([](Scratch& s) {
            s.write(UC_X86_REG_GDTR, uc_x86_mmr{0, 0, 7, 0});
            s.write(UC_X86_REG_LDTR, uc_x86_mmr{0, 0, 0, 0});
            s.write(UC_X86_REG_RAX, s.pick(0x5673, 0x1233));
            s.run({0x8e, 0xe0});  // mov fs, eax
        });
        layout_.error_code = take().find<std::uint32_t>("error code", 0x5670, 0x1230);
    }

    /// A real VMRUN copies the intercept words out of the VMCB; its guest stops at HLT.
    void find_intercepts() {
        both([](Scratch& s) {
            // HLT at 0x3f00: where the guest (real mode, CS base 0) starts.
            s.poke<std::uint8_t>(0x3f00, 0xf4);
            s.poke<std::uint64_t>(vmcb(s) + kVmcbRip, 0x3f00);
            s.poke(vmcb(s) + kVmcbCrRead, static_cast<std::uint16_t>(s.marker(kIntercept)));
            s.poke(vmcb(s) + kVmcbCrWrite, static_cast<std::uint16_t>(s.marker(kIntercept + 1)));
            s.poke(vmcb(s) + kVmcbDrRead, static_cast<std::uint16_t>(s.marker(kIntercept + 2)));
            s.poke(vmcb(s) + kVmcbDrWrite, static_cast<std::uint16_t>(s.marker(kIntercept + 3)));
            s.poke(vmcb(s) + kVmcbExceptions, static_cast<std::uint32_t>(s.marker(kIntercept + 4)));
            s.poke(vmcb(s) + kVmcbIntercepts, s.marker(kIntercept + 5) | kInterceptHlt);
            s.write_msr(kMsrEfer, kEferLme | kEferSvme);
            s.write_msr(0xc0010117, kHostSave);  // VM_HSAVE_PA
            s.write(UC_X86_REG_RAX, vmcb(s));
            s.run({0x0f, 0x01, 0xd8});
        });
        const Pair pair = take();
        layout_.intercepts =
            pair.find<std::uint64_t>("intercepts", first_.marker(kIntercept + 5) | kInterceptHlt,
                                     second_.marker(kIntercept + 5) | kInterceptHlt);
        layout_.intercept_exceptions =
            find_marker<std::uint32_t>(pair, "exceptions", kIntercept + 4);
        layout_.intercept_cr_read = find_marker<std::uint16_t>(pair, "CR reads", kIntercept);
        layout_.intercept_cr_write = find_marker<std::uint16_t>(pair, "CR writes", kIntercept + 1);
        layout_.intercept_dr_read = find_marker<std::uint16_t>(pair, "DR reads", kIntercept + 2);
        layout_.intercept_dr_write = find_marker<std::uint16_t>(pair, "DR writes", kIntercept + 3);
        layout_.vmcb = pair.find<std::uint64_t>("VMCB address", vmcb(first_), vmcb(second_));
    }
    static std::uint64_t vmcb(const Scratch& s) { return s.pick(kVmcb, kVmcb + 0x1000); }

    Scratch first_{1}, second_{2};
    Layout layout_;
};

}  // namespace

const Layout& calibrated_layout() {
    static const Layout layout = Calibration().run();
    return layout;
}

}  // namespace hvsim::cpu::engine
