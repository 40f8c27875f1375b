// A hostile VMCS: the input changes fields of one that an entry would accept, and gives the guest's
// code. A program launches and resumes it on a whole core. Nothing may crash, and a second run must
// end in the same state.
#include <cstddef>

#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/operation.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/processor.h"

namespace {

using namespace hvsim;
using namespace hvsim::cpu;
using fuzz::ByteSource;
using fuzz::Processor;
using vmx::Field;

constexpr std::uint64_t kVmxonRegion = Processor::kSecondBlock, kVmcs = Processor::kControlBlock;
constexpr std::uint64_t kPointers = 0x7800;  // operands: VMXON's, then the VMCS's
constexpr std::uint64_t kEntriesLeft = 0x7810;

// VMXON [kPointers]; VMCLEAR, VMPTRLD [kPointers + 8]; VMLAUNCH; HLT, and where exits arrive:
// DEC [kEntriesLeft]; JZ to the HLT; VMRESUME; HLT.
constexpr std::uint8_t kHost[] = {
    0xf3, 0x0f, 0xc7, 0x34, 0x25, 0x00, 0x78, 0x00, 0x00,  //
    0x66, 0x0f, 0xc7, 0x34, 0x25, 0x08, 0x78, 0x00, 0x00,  //
    0x0f, 0xc7, 0x34, 0x25, 0x08, 0x78, 0x00, 0x00,        //
    0x0f, 0x01, 0xc2, 0xf4,                                //
};
constexpr std::uint8_t kAtExit[] = {0xff, 0x0c, 0x25, 0x10, 0x78, 0x00, 0x00,
                                    0x74, 0x03, 0x0f, 0x01, 0xc3, 0xf4};
constexpr std::uint64_t kExit = Processor::kHostCode + 0x100;

void write_controls(vmx::Region& vmcs) {
    vmcs.write(Field::PIN_BASED_CONTROLS, vmx::kPinControls.must_be_one);
    vmcs.write(Field::PRIMARY_CONTROLS, vmx::kPrimaryControls.must_be_one |
                                            vmx::primary::kSecondaryControls |
                                            vmx::primary::kHltExiting);
    vmcs.write(Field::SECONDARY_CONTROLS, 0);
    vmcs.write(Field::EXIT_CONTROLS,
               vmx::kExitControls.must_be_one | vmx::exit_control::kHostAddressSpace64 |
                   vmx::exit_control::kSaveEfer | vmx::exit_control::kLoadEfer);
    vmcs.write(Field::ENTRY_CONTROLS, vmx::kEntryControls.must_be_one |
                                          vmx::entry_control::kIa32eGuest |
                                          vmx::entry_control::kLoadEfer);
    const std::uint64_t page = Processor::kPages;
    for (const Field field :
         {Field::IO_BITMAP_A, Field::IO_BITMAP_B, Field::MSR_BITMAPS, Field::VIRTUAL_APIC_ADDRESS,
          Field::APIC_ACCESS_ADDRESS, Field::PML_ADDRESS, Field::EPTP_LIST_ADDRESS,
          Field::VMREAD_BITMAP_ADDRESS, Field::VMWRITE_BITMAP_ADDRESS,
          Field::ENTRY_MSR_LOAD_ADDRESS, Field::EXIT_MSR_STORE_ADDRESS,
          Field::EXIT_MSR_LOAD_ADDRESS, Field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS})
        vmcs.write(field, page);
    vmcs.write(Field::VPID, 1);
    vmcs.write(Field::EPT_POINTER, (page + 0x1000) | 0x1e);
    vmcs.write(Field::VMCS_LINK_POINTER, ~std::uint64_t{0});
}

void write_state(vmx::Region& vmcs, Core& core) {
    for (unsigned i = 0; i < engine::kSegmentCount; ++i) {
        const Segment segment = core.segment(static_cast<SegmentName>(i));
        const auto nth = [i](Field first) {
            return static_cast<Field>(static_cast<unsigned>(first) + 2 * i);
        };
        vmcs.write(nth(Field::GUEST_ES_SELECTOR), segment.selector);
        vmcs.write(nth(Field::GUEST_ES_LIMIT), segment.limit);
        vmcs.write(nth(Field::GUEST_ES_BASE), segment.base);
        vmcs.write(nth(Field::GUEST_ES_ACCESS_RIGHTS), segment.access_rights);
        if (i < 6) vmcs.write(nth(Field::HOST_ES_SELECTOR), segment.selector);
    }
    vmcs.write(Field::HOST_TR_SELECTOR, Processor::kTask);
    vmcs.write(Field::HOST_TR_BASE, Processor::kTss);
    for (const auto& [guest, host, value] :
         {std::tuple{Field::GUEST_CR0, Field::HOST_CR0, core.cr(0)},
          {Field::GUEST_CR3, Field::HOST_CR3, core.cr(3)},
          {Field::GUEST_CR4, Field::HOST_CR4, core.cr(4)},
          {Field::GUEST_EFER, Field::HOST_EFER, core.efer()},
          {Field::GUEST_GDTR_BASE, Field::HOST_GDTR_BASE, Processor::kGdt},
          {Field::GUEST_IDTR_BASE, Field::HOST_IDTR_BASE, Processor::kIdt}}) {
        vmcs.write(guest, value);
        vmcs.write(host, value);
    }
    vmcs.write(Field::GUEST_GDTR_LIMIT, Processor::kTableLimit);
    vmcs.write(Field::GUEST_IDTR_LIMIT, Processor::kTableLimit);
    vmcs.write(Field::GUEST_DR7, 0x400);
    vmcs.write(Field::GUEST_RFLAGS, 2);
    vmcs.write(Field::GUEST_RSP, Processor::kGuestStack);
    vmcs.write(Field::GUEST_RIP, Processor::kGuestCode);
    vmcs.write(Field::HOST_RSP, Processor::kStack);
    vmcs.write(Field::HOST_RIP, kExit);
}

/// EPT one to one, as far as memory goes.
void write_ept(sim::Ram& ram) {
    const std::uint64_t pml4 = Processor::kPages + 0x1000;
    ram.write(pml4, (pml4 + 0x1000) | 7);
    ram.write(pml4 + 0x1000, (pml4 + 0x2000) | 7);
    for (std::uint64_t i = 0; i < 2; ++i) ram.write(pml4 + 0x2000 + 8 * i, i << 21 | 0xb7);
}

/// Changes of the input: a count, then field, kind and operand of each.
void spoil(vmx::Region& vmcs, ByteSource& in) {
    for (unsigned left = in.byte() & 7; left > 0; --left) {
        const Field field = vmx::kFieldTable[in.byte() % vmx::kFieldTable.size()].field;
        const std::uint8_t kind = in.byte();
        const std::uint64_t old = vmcs.read(field);
        std::uint64_t operand = 0;
        for (unsigned i = 0; i < (kind >> 4 & 7) + 1u; ++i) operand = operand << 8 | in.byte();
        switch (kind & 3) {
            case 0:
                vmcs.write(field, old ^ std::uint64_t{1} << (operand & 63));
                break;
            case 1:
                vmcs.write(field, operand);
                break;
            case 2:
                vmcs.write(field, old + operand);
                break;
            default:
                vmcs.write(field, ~operand);
                break;
        }
    }
}

/// The state at the end; `entries`: how often the guest was entered.
std::string attempt(std::span<const std::uint8_t> bytes, std::uint64_t& entries) {
    ByteSource in(bytes);
    Processor processor("intel-skylake");
    vmx::Operation operation(processor.core);
    Core& core = processor.core;
    core.set_virtualization(&operation);
    core.set_cr(4, core.cr(4) | cr4::kVMXE);
    SIM_ASSERT(core.write_msr(0x3a, 5));
    sim::Ram& ram = processor.ram;
    ram.write(kPointers, kVmxonRegion);
    ram.write(kPointers + 8, kVmcs);
    ram.write(kEntriesLeft, std::uint32_t{Processor::kEntries});
    ram.write(kVmxonRegion, vmx::kRevision);
    ram.write(kVmcs, vmx::kRevision);
    processor.code(Processor::kHostCode, kHost);
    processor.code(kExit, kAtExit);
    vmx::Region vmcs(ram, kVmcs);
    write_controls(vmcs);
    write_state(vmcs, core);
    write_ept(ram);
    spoil(vmcs, in);
    std::array<std::uint8_t, 64> guest{};
    for (std::uint8_t& byte : guest) byte = in.empty() ? 0xf4 : in.byte();
    processor.code(Processor::kGuestCode, guest);
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
