// Guest programs under AMD-V: every exit code, class of consistency check and kind of injection.
#include "cpu/svm/operation.h"
#include "tests/cpu/programs/virtualization.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

namespace {

constexpr std::string_view kPrefix = "VMEXIT_";

std::string code_name(std::uint64_t code) {
    std::string_view name = svm::exit_code_name(code);
    if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
    return name.empty() ? fmt::format("{:#x}", code) : std::string(name);
}

/// Record: kind, place, 16 registers, the VMCB.
NotedExit note(const Machine& m, std::uint64_t record) {
    constexpr std::uint64_t kVmcb = 144;
    NotedExit exit;
    exit.kind = "exit";
    for (const svm::FieldDescription& field : svm::kFieldTable) {
        std::uint64_t value = 0;
        REQUIRE(m.ram.read_bytes(record + kVmcb + field.offset,
                                 {reinterpret_cast<std::uint8_t*>(&value), field.width}));
        exit.fields[std::string(field.name)] = value;
    }
    exit.name = code_name(exit.fields["EXITCODE"]);
    if (exit.name == "INVALID") exit.fields["rule"] = 0;
    return exit;
}

const std::vector<Unreachable> kUnreachable{
    {"FERR_FREEZE", "CR0.NE 0 and an unmasked x87 exception: the model has no FERR#"},
    {"SKINIT", "no secure loader: #UD comes first"},
    {"RDPRU", "not announced (CPUID 80000008): #UD"},
    {"EFER_WRITE_TRAP", "of SEV-ES guests only"},
    {"CR0_WRITE_TRAP", "of SEV-ES guests only"},
    {"INVLPGB", "not announced (CPUID 80000008): #UD"},
    {"INVLPGB_ILLEGAL", "not announced (CPUID 80000008): #UD"},
    {"MCOMMIT", "not announced (CPUID 80000008): #UD"},
    {"TLBSYNC", "not announced (CPUID 80000008): #UD"},
    {"BUSLOCK", "not announced (CPUID 8000000a)"},
    {"IDLE_HLT", "not announced (CPUID 8000000a)"},
    {"VMGEXIT", "of SEV-ES guests only"},
    {"BUSY", "of SEV-SNP guests only"},
};

}  // namespace

TEST_CASE("programs under AMD-V exit, fail and go on as their headers say") {
    for (const std::string& name : programs_in("svm"))
        check_program<svm::Operation>(name, "amd-milan", note);
}

TEST_CASE("under AVIC an IPI and a doorbell wake a guest that waits on another processor") {
    Options options;
    options.model = "amd-rome";
    options.processors = 2;
    Machine m("svm_doorbell", options);
    svm::Operation first(m.core()), second(m.core(1));
    m.core().set_virtualization(&first);
    m.core(1).set_virtualization(&second);
    m.start_processor(1, "second", KERNEL_STACK);
    CHECK(m.run(20 * sim::kMillisecond) == End::halted);
    INFO(m.story());
    CHECK(m.peek(EXITS) == 0);
    REQUIRE(m.events() == 2);
    CHECK(m.event(0).vector == 0x34);
    CHECK(m.event(0).rip == m.program["behind_hlt"]);
    CHECK(m.event(1).vector == 0x35);
    CHECK(m.event(1).rip >= m.program["spinning"]);
    CHECK(m.result(0) == 0x81);  // its VMMCALL
}

TEST_CASE("every class of VMRUN's checks has a program that breaks it") {
    check_rule_classes("svm", {{"control and debug registers, EFER, CS (15.5.1)", 101, 111},
                               {"PDPTEs (5.2.2)", 112, 112},
                               {"intercepts, maps, ASID (15.5.1)", 120, 124},
                               {"nested paging (15.25)", 130, 134},
                               {"TLB control and EVENTINJ (15.16.2, 15.20)", 140, 142},
                               {"AVIC (15.29.4)", 150, 154}});
}

TEST_CASE("every AMD-V exit code that the model knows has a program") {
    std::vector<std::string> codes{
#define HVSIM_CODE_NAME(name, number) #name,
        HVSIM_SVM_EXIT_CODES(HVSIM_CODE_NAME)
#undef HVSIM_CODE_NAME
    };
    check_coverage("svm", codes, kUnreachable);
}
