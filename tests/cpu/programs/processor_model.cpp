// Every processor model runs programs, and what it announces agrees with itself.
#include <bit>
#include <cstring>

#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/operation.h"
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

namespace {

constexpr std::uint64_t kValidCr4 = DATA + 0x800, kIsIntel = DATA + 0x808, kTakenCr4 = DATA + 0x810,
                        kEnteredVmx = DATA + 0x820, kCapabilities = DATA + 0x900;

/// Runs the program; `capabilities`: what it read of 0x480 and up.
struct Announced {
    explicit Announced(const Model& model)
        : machine("processor_model", {.model = std::string(model.name)}) {
        if (model.vendor == Vendor::intel) machine.core().set_virtualization(&extension);
        machine.poke(kValidCr4, valid_cr4(model, true));
        machine.poke(kIsIntel, model.vendor == Vendor::intel ? 1 : 0);
        REQUIRE(machine.run() == End::halted);
    }
    CpuidResult leaf(unsigned index) const {
        CpuidResult result;
        REQUIRE(machine.ram.read(DATA + index * 16, result));
        return result;
    }
    std::uint64_t capability(std::uint32_t msr) const {
        return machine.peek(kCapabilities + (msr - 0x480) * 8);
    }
    Machine machine;
    vmx::Operation extension{machine.core()};
};

/// SDM 3D A.2 to A.5: what must be 1 may be 1, and the TRUE MSRs only allow more zeros.
void check_control_pairs(const Announced& announced) {
    constexpr struct {
        std::uint32_t plain, exact;
    } kPairs[] = {{0x481, 0x48d}, {0x482, 0x48e}, {0x483, 0x48f}, {0x484, 0x490}};
    for (const auto& pair : kPairs) {
        CAPTURE(pair.plain);
        const std::uint64_t plain = announced.capability(pair.plain),
                            exact = announced.capability(pair.exact);
        CHECK((plain >> 32) == (exact >> 32));
        CHECK((plain & 0xffffffff & ~(plain >> 32)) == 0);
        CHECK((exact & ~plain & 0xffffffff) == 0);
    }
}

/// What needs another control or feature is not there without it.
void check_dependencies(const Announced& announced) {
    const auto may = [&announced](std::uint32_t msr, std::uint32_t control) {
        return (announced.capability(msr) >> 32 & control) != 0;
    };
    namespace s = vmx::secondary;
    const bool ept = may(0x48b, s::kEpt);
    for (const std::uint32_t control :
         {s::kUnrestrictedGuest, s::kModeBasedExecute, s::kPageModificationLogging})
        CHECK((ept || !may(0x48b, control)));
    CHECK(may(0x482, vmx::primary::kSecondaryControls));
    CHECK((!may(0x481, vmx::pin::kPostedInterrupts) || may(0x48b, s::kVirtualInterruptDelivery)));
    constexpr std::uint64_t kAccessedDirty = 1u << 21;
    CHECK((!may(0x48b, s::kPageModificationLogging) ||
           (announced.capability(0x48c) & kAccessedDirty) != 0));
    CHECK((announced.capability(0x491) == 0 || may(0x48b, s::kVmFunctions)));
    CHECK((announced.leaf(3).edx >> 27 & 1) == (may(0x48b, s::kRdtscp) ? 1u : 0u));
}

void check_vmx(const Announced& announced, const Model& model) {
    check_control_pairs(announced);
    check_dependencies(announced);
    CHECK((announced.capability(0x48b) >> 32) ==
          (vmx::kSecondaryControls.may_be_one & ~model.vmx_absent));
    CHECK(announced.capability(0x489) == valid_cr4(model, true));
    CHECK((announced.capability(0x486) & ~announced.capability(0x487)) == 0);
    CHECK((announced.capability(0x488) & ~announced.capability(0x489)) == 0);
    const bool scaling = !(model.vmx_absent & vmx::secondary::kTscScaling);
    CHECK(announced.capability(0x48a) == (scaling ? 0x32 : 0x2e));
    CHECK(announced.machine.peek(kEnteredVmx) == 1);
}

}  // namespace

TEST_CASE("every processor model agrees with what it announces") {
    for (const Model& model : models()) {
        CAPTURE(model.name);
        CHECK(find_model(model.name) == &model);
        CHECK(!model.timing_profile.empty());
        CHECK(model.brand.size() <= 47);
        const Announced announced(model);
        const bool intel = model.vendor == Vendor::intel;
        CHECK(announced.leaf(0).ebx == (intel ? 0x756e6547 : 0x68747541));
        CHECK(announced.leaf(1).eax == model.signature);
        CHECK((announced.leaf(4).eax & 0xff) == model.physical_address_bits);
        CHECK((announced.leaf(4).eax >> 8 & 0xff) == model.linear_address_bits);
        std::string brand(16, '\0');
        const CpuidResult text = announced.leaf(5);
        std::memcpy(brand.data(), &text, brand.size());
        CHECK(model.brand.starts_with(brand));
        // CR4 takes what CPUID announces (SDM 3A 2.5), and PCIDE needs a CR3 that the program
        // lacks.
        CHECK((announced.machine.peek(kTakenCr4) | cr4::kPCIDE) ==
              (valid_cr4(model, true) | cr4::kPCIDE));
        const auto announces = [](std::uint32_t word, unsigned bit) {
            return (word >> bit & 1) != 0;
        };
        const std::uint64_t valid = valid_cr4(model, true);
        CHECK(announces(announced.leaf(2).ebx, 7) == ((valid & cr4::kSMEP) != 0));
        CHECK(announces(announced.leaf(2).ebx, 20) == ((valid & cr4::kSMAP) != 0));
        CHECK(announces(announced.leaf(2).ebx, 0) == ((valid & cr4::kFSGSBASE) != 0));
        CHECK(announces(announced.leaf(1).ecx, 5) == intel);
        CHECK(announces(announced.leaf(3).ecx, 2) == !intel);
        if (intel) check_vmx(announced, model);
    }
}

TEST_CASE("generations differ as the processors did") {
    namespace s = vmx::secondary;
    const auto controls = [](const char* name) {
        return vmx::secondary_controls(*find_model(name)).may_be_one;
    };
    CHECK((controls("intel-haswell") & s::kPageModificationLogging) == 0);
    CHECK((controls("intel-broadwell") & s::kPageModificationLogging) != 0);
    CHECK((controls("intel-broadwell") & (s::kTscScaling | s::kModeBasedExecute)) == 0);
    CHECK((controls("intel-skylake") & s::kTscScaling) != 0);
    CHECK((controls("intel-skylake") & s::kModeBasedExecute) != 0);
    CHECK_FALSE(vmx::has_field(*find_model("intel-broadwell"), vmx::Field::TSC_MULTIPLIER));
    CHECK(vmx::has_field(*find_model("intel-broadwell"), vmx::Field::PML_ADDRESS));
    CHECK_FALSE(vmx::has_field(*find_model("intel-haswell"), vmx::Field::PML_INDEX));
    CHECK((valid_cr4(*find_model("intel-haswell"), true) & cr4::kSMAP) == 0);
    CHECK(default_model(Vendor::intel).name == "intel-cascadelake");
    CHECK(default_model(Vendor::amd).name == "amd-rome");
}
