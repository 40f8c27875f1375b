#pragma once
// A processor for engine tests: some memory mapped one to one, a client made of functions, and the
// modes that tests start in.
#include <functional>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "cpu/engine/engine.h"
#include "sim/ram.h"

/// Assembles `text` (Intel syntax) into the test program's data; code_of(name) gives its bytes. It
/// runs wherever it is put, so it names no absolute address of its own.
#define GUEST_CODE(name, text)                                                           \
    extern "C" {                                                                         \
    extern const unsigned char name##_begin[];                                           \
    extern const unsigned char name##_end[];                                             \
    }                                                                                    \
    asm(".pushsection .rodata\n.intel_syntax noprefix\n.code64\n" #name "_begin:\n" text \
        "\n" #name "_end:\n.code64\n.att_syntax prefix\n.popsection\n")
#define CODE_OF(name) \
    std::span<const std::uint8_t>(name##_begin, static_cast<std::size_t>(name##_end - name##_begin))

namespace hvsim::cpu::engine::test {

inline constexpr std::uint64_t kMemory = 1 << 20;
inline constexpr std::uint64_t kNever = ~std::uint64_t{0};

/// Everything a client may be asked; the defaults map memory one to one and stop at any intercept.
class Processor final : public EngineClient {
  public:
    explicit Processor(EngineGroup& group) : engine(group, *this) { engine.set_limit(kNever); }

    bool translate(std::uint64_t linear, Access access, bool user,
                   Translation& out) noexcept override {
        ++fills;
        if (on_translate) return on_translate(linear, access, user, out);
        out = {linear, true, true};
        return linear < kMemory;
    }
    void on_intercept(const Intercept& intercept) override {
        seen.push_back(intercept);
        if (handle && handle(intercept)) return;
        engine.request_stop();
    }
    void on_limit() override {
        if (at_limit) at_limit();
    }

    std::function<bool(std::uint64_t, Access, bool, Translation&)> on_translate;
    /// True: handled, go on.
    std::function<bool(const Intercept&)> handle;
    std::function<void()> at_limit;
    std::vector<Intercept> seen;
    std::uint64_t fills = 0;
    Engine engine;
};

inline constexpr Segment kCode64 = {8, ~0U, 0, 0xa09b}, kCode32 = {8, ~0U, 0, 0xc09b},
                         kData = {16, ~0U, 0, 0xc093};

inline void enter_long_mode(Engine& engine, unsigned cpl = 0) {
    engine.set_efer(0x901);
    engine.set_cr(4, 0x620);
    engine.set_cr(0, 0x80010011);
    Segment code = kCode64;
    Segment data = kData;
    code.access_rights |= cpl << 5;
    data.access_rights |= cpl << 5;
    code.selector = static_cast<std::uint16_t>(code.selector | cpl);
    data.selector = static_cast<std::uint16_t>(data.selector | cpl);
    engine.set_segment(SegmentName::cs, code);
    for (const SegmentName name :
         {SegmentName::es, SegmentName::ss, SegmentName::ds, SegmentName::fs, SegmentName::gs})
        engine.set_segment(name, data);
    engine.set_rflags(2);
    engine.flush_tlb();
}

/// Memory, one engine in 64-bit mode at CPL 0, a stack below 0x8000.
struct Machine {
    explicit Machine(std::uint64_t code_buffer = 8 << 20)
        : ram(kMemory), group(ram, code_buffer), processor(group), engine(processor.engine) {
        enter_long_mode(engine);
        engine.set_gpr(kRsp, 0x8000);
    }
    void put(std::uint64_t at, std::span<const std::uint8_t> code) { ram.write_bytes(at, code); }
    void put(std::uint64_t at, std::initializer_list<std::uint8_t> code) {
        ram.write_bytes(at, std::span(code.begin(), code.size()));
    }
    RunEnd run_from(std::uint64_t rip) {
        processor.seen.clear();
        engine.set_rip(rip);
        return engine.run();
    }
    template <typename T>
    T peek(std::uint64_t at) const {
        T value{};
        ram.read(at, value);
        return value;
    }
    const Intercept& last() const { return processor.seen.at(processor.seen.size() - 1); }

    sim::Ram ram;
    EngineGroup group;
    Processor processor;
    Engine& engine;
};

}  // namespace hvsim::cpu::engine::test
