#include "cpu/engine/self_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "cpu/engine/engine.h"
#include "sim/error.h"

namespace hvsim::cpu::engine {

/// Code at 0x1000 in 64-bit mode, pages 0 to 15 mapped one to one, page 0xf refused; 0x20000
/// upwards is a second view of the same memory.
class SelfTest final : public EngineClient {
  public:
    SelfTest()
        : ram_(kMemory), group_(ram_, 2 << 20, EngineGroup::Unproven{}), engine_(group_, *this) {
        Segment code{.selector = 8, .limit = ~0U, .base = 0, .access_rights = 0xa09b};
        Segment data{.selector = 16, .limit = ~0U, .base = 0, .access_rights = 0xc093};
        engine_.set_efer(0x500);
        engine_.set_cr(4, 0x620);
        engine_.set_cr(0, 0x80000011);
        engine_.set_segment(SegmentName::cs, code);
        for (const SegmentName name : {SegmentName::es, SegmentName::ss, SegmentName::ds})
            engine_.set_segment(name, data);
        engine_.set_limit(~std::uint64_t{0});
    }

    void run() {
        check_intercepts();
        check_faults();
        check_nmi_unblocking();
        check_stale_code();
        check_instruction_count();
    }

    bool translate(std::uint64_t linear, Access, bool, Translation& out) noexcept override {
        if (linear >= kUnmapped && linear < kMemory) return false;
        out = {linear % kMemory, true, true};
        return linear < 2 * kAlias;
    }
    void on_intercept(const Intercept& intercept) override {
        seen_ = intercept;
        engine_.request_stop();
    }

  private:
    static constexpr std::uint64_t kMemory = 0x10000, kCode = 0x1000, kUnmapped = 0xf000,
                                   kAlias = 0x20000;

    static void expect(bool holds, const std::string& what) {
        if (!holds)
            throw sim::ConfigError(
                fmt::format("{} does not behave as the engine layer needs: {}", library_version(),
                            what),
                "use the static library of Unicorn 2.1.1 to 2.1.4 (scripts/fetch-unicorn)");
    }

    /// Runs `code` behind two NOPs until an intercept, which must be at `offset` of it.
    void expect_intercept(std::initializer_list<std::uint8_t> code, std::uint32_t exit,
                          std::uint32_t error_code, std::uint64_t offset, const char* name) {
        const std::array<std::uint8_t, 2> nops = {0x90, 0x90};
        ram_.write_bytes(next_, nops);
        ram_.write_bytes(next_ + 2, std::span(code.begin(), code.size()));
        const std::uint64_t before = engine_.code_bytes();
        engine_.set_rip(next_);
        engine_.run();
        expect(static_cast<std::uint32_t>(seen_.code) == exit && seen_.error_code == error_code,
               fmt::format("{} gives exit {:#x} error code {:#x}", name,
                           static_cast<std::uint32_t>(seen_.code), seen_.error_code));
        expect(engine_.rip() == next_ + 2 + offset, fmt::format("{} leaves another RIP", name));
        expect(engine_.code_bytes() - before == 2 + offset, fmt::format("{} miscounts", name));
        next_ += 32;
    }

    /// A move that could be taken for the one that carries the count, and a loop of three rounds.
    void check_instruction_count() {
        static constexpr std::array<std::uint8_t, 16> kProgram = {
            0xb8, 3,    0,    0,    0,    0xba,
            0x0f, 0,    0,    0,                  // MOV EAX,3; MOV EDX,15 (the block's size)
            0xff, 0xc8, 0x90, 0x75, 0xfb, 0xf4};  // DEC EAX; NOP; JNZ; HLT
        ram_.write_bytes(next_, kProgram);
        const std::uint64_t before = engine_.instructions();
        engine_.set_rip(next_);
        engine_.run();
        expect(seen_.code == InterceptCode::hlt && engine_.gpr(kRdx) == 15,
               "counting instructions changes them");
        expect(engine_.instructions() - before == 2 + 3 * 3, "instructions are miscounted");
        next_ += 32;
    }

    static std::uint32_t code(InterceptCode name) { return static_cast<std::uint32_t>(name); }

    void check_intercepts() {
        engine_.set_gpr(kRcx, 0x1b);
        expect_intercept({0x0f, 0x32}, code(InterceptCode::msr), 0, 0, "RDMSR");
        expect_intercept({0x0f, 0x30}, code(InterceptCode::msr), 1, 0, "WRMSR");
        expect_intercept({0xf4}, code(InterceptCode::hlt), 0, 0, "HLT");
        expect_intercept({0x0f, 0xa2}, code(InterceptCode::cpuid), 0, 0, "CPUID");
        expect_intercept({0x0f, 0x31}, code(InterceptCode::rdtsc), 0, 0, "RDTSC");
        expect_intercept({0xcd, 0x80}, code(InterceptCode::software_interrupt), 0, 0, "INT n");
        expect_intercept({0x0f, 0x0b}, code(InterceptCode::exception) + 6, 0, 0, "UD2");
        expect_intercept({0x0f, 0xc7, 0xf0}, code(InterceptCode::exception) + 6, 0, 0, "RDRAND");
        expect_intercept({0x0f, 0x22, 0xe0}, code(InterceptCode::cr_write) + 4, 0, 0, "MOV CR4");
        expect_intercept({0x0f, 0x23, 0xf8}, code(InterceptCode::dr_write) + 7, 0, 0, "MOV DR7");
        expect_intercept({0x0f, 0x01, 0x3b}, code(InterceptCode::invlpg), 0, 0, "INVLPG");
        expect_intercept({0x48, 0xf0, 0x90}, code(InterceptCode::exception) + 6, 0, 0, "LOCK NOP");
        expect_intercept({0x0f, 0x28, 0x04, 0x25, 0x08, 0x40, 0, 0},
                         code(InterceptCode::exception) + 13, 0, 0, "an unaligned MOVAPS");
        expect_intercept({0x0f, 0x05}, code(InterceptCode::syscall), 0, 0, "SYSCALL");
        expect_intercept({0x0f, 0x01, 0xd1}, code(InterceptCode::xsetbv), 0, 0, "XSETBV");
        engine_.set_gpr(kRcx, 0xc0000100);
        engine_.set_gpr(kRdx, 0xaaaaaaaa);
        expect_intercept({0x0f, 0x30}, code(InterceptCode::msr), 1, 0, "WRMSR of FS.base");
        // A selector beyond the limit: #GP with it as error code.
        engine_.set_gdtr({0, 7});
        engine_.set_gpr(kRax, 0x1234);
        expect_intercept({0x8e, 0xe0}, code(InterceptCode::exception) + 13, 0x1234, 0, "MOV FS");
        engine_.set_gpr(kRdx, 0x3f8);
        expect_intercept({0xed}, code(InterceptCode::io), 0, 0, "IN");
        expect(seen_.io.port == 0x3f8 && seen_.io.size == 4 && seen_.io.in,
               "IN tells another port");
        // Lazily computed flags survive: CMP sets ZF, MOV leaves it, OUT reports.
        expect_intercept({0x39, 0xc0, 0x89, 0xd3, 0xe6, 0x80}, code(InterceptCode::io), 0, 4,
                         "OUT");
        expect(seen_.io.port == 0x80 && seen_.io.size == 1 && !seen_.io.in,
               "OUT tells another port");
        expect((engine_.rflags() & 0x40) != 0, "OUT loses flags");
    }

    void check_faults() {
        engine_.set_gpr(kRbx, kUnmapped + 0x123);
        expect_intercept({0x90, 0x89, 0x03}, code(InterceptCode::page_fault), 0, 1, "a store");
        expect(seen_.fault.linear == kUnmapped + 0x123 && seen_.fault.access == Access::write &&
                   !seen_.fault.user,
               "a store's fault tells another address");
        engine_.set_gpr(kRbx, kUnmapped);
        const std::uint64_t before = engine_.code_bytes();
        const std::array<std::uint8_t, 2> jump = {0xff, 0xe3};  // jmp rbx
        ram_.write_bytes(next_, jump);
        engine_.set_rip(next_);
        engine_.run();
        next_ += 32;
        expect(seen_.code == InterceptCode::page_fault && seen_.fault.access == Access::execute &&
                   engine_.rip() == kUnmapped && engine_.code_bytes() - before == 2,
               "a fetch does not fault");
    }

    void check_nmi_unblocking() {
        engine_.set_nmi_blocked(true);
        engine_.set_gpr(kRsp, 0x8000);
        engine_.set_gdtr({0x9000, 31});
        ram_.write<std::uint64_t>(0x9008, 0x00af9b000000ffff);
        ram_.write<std::uint64_t>(0x9010, 0x00cf93000000ffff);
        const std::array<std::uint64_t, 5> frame = {next_ + 16, 8, 2, 0x8000, 16};
        ram_.write(0x8000, frame);
        ram_.write<std::uint8_t>(next_ + 16, 0xf4);
        const std::array<std::uint8_t, 2> iretq = {0x48, 0xcf};
        ram_.write_bytes(next_, iretq);
        engine_.set_rip(next_);
        engine_.run();
        next_ += 32;
        expect(seen_.code == InterceptCode::hlt && !engine_.nmi_blocked(),
               "IRET keeps NMIs blocked");
    }

    /// Code that was translated changes through another view, by a store and by a model.
    void check_stale_code() {
        const std::uint64_t routine = 0x3000;
        const std::array<std::uint8_t, 6> returns_1 = {0xb8, 1, 0, 0, 0, 0xc3};  // mov eax, 1; ret
        ram_.write_bytes(routine, returns_1);
        for (const std::uint8_t round : {std::uint8_t{2}, std::uint8_t{3}}) {
            // call routine; mov ecx, eax; mov byte [rbx], round; call routine; hlt
            const std::uint64_t at = next_;
            const auto relative = [&](std::uint64_t end) {
                return static_cast<std::uint32_t>(routine - (at + end));
            };
            ram_.write<std::uint8_t>(at, 0xe8);
            ram_.write(at + 1, relative(5));
            const std::array<std::uint8_t, 5> middle = {0x89, 0xc1, 0xc6, 0x03, round};
            ram_.write_bytes(at + 5, middle);
            ram_.write<std::uint8_t>(at + 10, 0xe8);
            ram_.write(at + 11, relative(15));
            ram_.write<std::uint8_t>(at + 15, 0xf4);
            engine_.set_gpr(kRbx, kAlias + routine + 1);
            engine_.set_gpr(kRsp, 0x8000);
            engine_.set_rip(at);
            engine_.run();
            next_ += 32;
            expect(engine_.gpr(kRax) == round, "translated code outlives a store to it");
            expect(engine_.gpr(kRcx) == (round == 2 ? 1U : 0x55U), "code changes too early");
            ram_.write<std::uint8_t>(routine + 1, 0x55);
        }
    }

    sim::Ram ram_;
    EngineGroup group_;
    Engine engine_;
    Intercept seen_;
    std::uint64_t next_ = kCode;
};

void prove_library() {
    static const bool proven = [] {
        SelfTest().run();
        return true;
    }();
    static_cast<void>(proven);
}

}  // namespace hvsim::cpu::engine
