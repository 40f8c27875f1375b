// A hostile VMCB: the input changes bytes of one that VMRUN would accept, and gives the guest's
// code. A program runs it again and again on a whole core. Nothing may crash, and a second run must
// end in the same state.
#include <cstddef>

#include "cpu/svm/operation.h"
#include "cpu/svm/vmcb.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/processor.h"

namespace {

using namespace hvsim;
using namespace hvsim::cpu;
using fuzz::ByteSource;
using fuzz::Processor;
namespace vmcb = svm::vmcb;

constexpr std::uint64_t kVmcb = Processor::kControlBlock, kHostSave = Processor::kSecondBlock;

constexpr std::uint64_t kEntriesLeft = 0x7810;
// VMSAVE; VMRUN; STGI; DEC [kEntriesLeft]; JNZ to the VMRUN; HLT.
constexpr std::uint8_t kHost[] = {0x0f, 0x01, 0xdb, 0x0f, 0x01, 0xd8, 0x0f, 0x01, 0xdc, 0xff,
                                  0x0c, 0x25, 0x10, 0x78, 0x00, 0x00, 0x75, 0xf1, 0xf4};

void write_block(sim::Ram& ram, Core& core) {
    const svm::Vmcb block(ram, kVmcb);
    block.set(vmcb::INTERCEPT_MISC2, 3u);
    block.set(vmcb::INTERCEPT_MISC1, svm::intercept_mask(svm::ExitCode::HLT) |
                                         svm::intercept_mask(svm::ExitCode::SHUTDOWN));
    block.set(vmcb::IOPM_BASE_PA, Processor::kPages);
    block.set(vmcb::MSRPM_BASE_PA, Processor::kPages + 0x4000);
    block.set(vmcb::GUEST_ASID, 1u);
    for (const std::uint16_t offset : {0x400, 0x410, 0x420, 0x430}) {
        const bool code = offset == 0x410;
        block.set(svm::FieldAt<std::uint16_t>{offset}, code ? Processor::kCode : Processor::kData);
        block.set(svm::FieldAt<std::uint16_t>{static_cast<std::uint16_t>(offset + 2)},
                  static_cast<std::uint16_t>(code ? 0xa9b : 0xc93));
        block.set(svm::FieldAt<std::uint32_t>{static_cast<std::uint16_t>(offset + 4)}, ~0u);
    }
    block.set(vmcb::GDTR_LIMIT, Processor::kTableLimit);
    block.set(vmcb::GDTR_BASE, Processor::kGdt);
    block.set(vmcb::IDTR_LIMIT, Processor::kTableLimit);
    block.set(vmcb::IDTR_BASE, Processor::kIdt);
    block.set(vmcb::EFER, core.efer());
    block.set(vmcb::CR0, core.cr(0));
    block.set(vmcb::CR3, core.cr(3));
    block.set(vmcb::CR4, core.cr(4));
    block.set(vmcb::DR6, std::uint64_t{0xffff0ff0});
    block.set(vmcb::DR7, std::uint64_t{0x400});
    block.set(vmcb::RFLAGS, std::uint64_t{2});
    block.set(vmcb::RIP, std::uint64_t{Processor::kGuestCode});
    block.set(vmcb::RSP, std::uint64_t{Processor::kGuestStack});
    block.set(vmcb::G_PAT, std::uint64_t{0x0007040600070406});
    block.set(vmcb::N_CR3, std::uint64_t{Processor::kPml4});
}

/// Changes of the input: a count, then offset, kind and operand of each.
void spoil(sim::Ram& ram, ByteSource& in) {
    for (unsigned left = in.byte() & 7; left > 0; --left) {
        const auto& field = svm::kFieldTable[in.byte() % svm::kFieldTable.size()];
        const std::uint8_t kind = in.byte();
        std::uint64_t operand = 0, value = 0;
        for (unsigned i = 0; i < (kind >> 4 & 7) + 1u; ++i) operand = operand << 8 | in.byte();
        const std::span<std::uint8_t> bytes(reinterpret_cast<std::uint8_t*>(&value), field.width);
        ram.read_bytes(kVmcb + field.offset, bytes);
        switch (kind & 3) {
            case 0:
                value ^= std::uint64_t{1} << (operand % (8 * field.width));
                break;
            case 1:
                value = operand;
                break;
            case 2:
                value += operand;
                break;
            default:
                value = ~operand;
                break;
        }
        ram.write_bytes(kVmcb + field.offset, bytes);
    }
}

/// The state at the end; `entries`: how often the guest was entered.
std::string attempt(std::span<const std::uint8_t> bytes, std::uint64_t& entries) {
    ByteSource in(bytes);
    Processor processor("amd-milan");
    svm::Operation operation(processor.core);
    Core& core = processor.core;
    core.set_virtualization(&operation);
    core.set_efer(core.efer() | efer::kSVME);
    SIM_ASSERT(core.write_msr(0xc0010117, kHostSave));
    processor.ram.write(kEntriesLeft, std::uint32_t{Processor::kEntries});
    write_block(processor.ram, core);
    spoil(processor.ram, in);
    std::array<std::uint8_t, 64> guest{};
    for (std::uint8_t& byte : guest) byte = in.empty() ? 0xf4 : in.byte();
    processor.code(Processor::kGuestCode, guest);
    processor.code(Processor::kHostCode, kHost);
    core.set_gpr(engine::kRax, kVmcb);
    processor.run(Processor::kLimit);
    entries = processor.recorder.count(sim::EventKind::kVmEntry);
    return processor.state();
}

}  // namespace

/// What nothing has spoiled is entered: the inputs are not all refused.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
    std::uint64_t entries = 0;
    attempt({}, entries);
    SIM_ASSERT(entries != 0);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> bytes(data, size);
    std::uint64_t entries = 0;
    const std::string first = attempt(bytes, entries);
    SIM_ASSERT(attempt(bytes, entries) == first);
    return 0;
}
