using System.Collections.Immutable;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Types = System.Collections.Immutable.ImmutableHashSet<System.Reflection.Metadata.TypeDefinitionHandle>;

namespace Exporter.Tests.Support;

/// <summary>
/// Reads from an assembly's metadata and instructions (ECMA-335) which types of which of its namespaces each namespace uses. Constants do not
/// show: the compiler puts their values in place of their names. Attributes and constraints of generic parameters are not read.
/// </summary>
internal sealed class CompiledAssembly : ISignatureTypeProvider<Types, object?>
{
    private static readonly Dictionary<int, OpCode> Opcodes = typeof(OpCodes).GetFields()
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => (int)(ushort)code.Value);

    private readonly MetadataReader _metadata;
    private readonly PEReader _file;
    private readonly HashSet<TypeUse> _uses = [];

    private CompiledAssembly(PEReader file) => (_file, _metadata) = (file, file.GetMetadataReader());

    /// <param name="type">Any type of the assembly.</param>
    /// <returns>Each once; a namespace's uses of itself are not among them.</returns>
    internal static IReadOnlySet<TypeUse> UsesWithin(Type type)
    {
        using var file = new PEReader(File.OpenRead(type.Assembly.Location));
        var assembly = new CompiledAssembly(file);
        foreach (var handle in assembly._metadata.TypeDefinitions)
        {
            assembly.Read(handle);
        }
        return assembly._uses;
    }

    private void Read(TypeDefinitionHandle handle)
    {
        var type = _metadata.GetTypeDefinition(handle);
        var user = Outermost(handle);
        Use(user, type.BaseType);
        foreach (var implemented in type.GetInterfaceImplementations())
        {
            Use(user, _metadata.GetInterfaceImplementation(implemented).Interface);
        }
        foreach (var field in type.GetFields())
        {
            Use(user, _metadata.GetFieldDefinition(field).DecodeSignature(this, null));
        }
        foreach (var method in type.GetMethods())
        {
            Read(user, _metadata.GetMethodDefinition(method));
        }
    }

    private void Read(TypeDefinitionHandle user, MethodDefinition method)
    {
        Use(user, method.DecodeSignature(this, null));
        if (method.RelativeVirtualAddress == 0)
        {
            return;
        }
        var body = _file.GetMethodBody(method.RelativeVirtualAddress);
        if (!body.LocalSignature.IsNil)
        {
            var locals = _metadata.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(this, null);
            Use(user, [.. locals.SelectMany(local => local)]);
        }
        foreach (var region in body.ExceptionRegions)
        {
            Use(user, region.CatchType);
        }
        var code = body.GetILReader();
        while (code.RemainingBytes > 0)
        {
            var first = (int)code.ReadByte();
            switch (Opcodes[first == 0xfe ? 0xfe00 | code.ReadByte() : first].OperandType)
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                    Use(user, MetadataTokens.EntityHandle(code.ReadInt32()));
                    break;
                case OperandType.InlineSwitch:
                    var targets = code.ReadInt32();
                    code.Offset += sizeof(int) * targets;
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    code.Offset += sizeof(long);
                    break;
                case OperandType.InlineBrTarget or OperandType.InlineI or OperandType.InlineSig or OperandType.InlineString or OperandType.ShortInlineR:
                    code.Offset += sizeof(int);
                    break;
                case OperandType.InlineVar:
                    code.Offset += sizeof(short);
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    code.Offset += sizeof(byte);
                    break;
            }
        }
    }

    private void Use(TypeDefinitionHandle user, EntityHandle used) => Use(user, TypesOf(used));

    private void Use(TypeDefinitionHandle user, MethodSignature<Types> signature) => Use(user, TypesOf(signature));

    private void Use(TypeDefinitionHandle user, Types types)
    {
        var (from, by) = NameOf(user);
        foreach (var (to, name) in types.Select(type => NameOf(Outermost(type))))
        {
            if (to != from)
            {
                _uses.Add(new(from, by, to, name));
            }
        }
    }

    private static Types TypesOf(MethodSignature<Types> signature) =>
        [.. signature.ReturnType, .. signature.ParameterTypes.SelectMany(parameter => parameter)];

    private Types TypesOf(EntityHandle handle)
    {
        switch (handle.Kind)
        {
            case HandleKind.TypeDefinition when !handle.IsNil:
                return [(TypeDefinitionHandle)handle];
            case HandleKind.MethodDefinition:
                return [_metadata.GetMethodDefinition((MethodDefinitionHandle)handle).GetDeclaringType()];
            case HandleKind.FieldDefinition:
                return [_metadata.GetFieldDefinition((FieldDefinitionHandle)handle).GetDeclaringType()];
            case HandleKind.TypeSpecification:
                return _metadata.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(this, null);
            case HandleKind.MemberReference:
                return TypesOf(_metadata.GetMemberReference((MemberReferenceHandle)handle).Parent);
            case HandleKind.MethodSpecification:
                var method = _metadata.GetMethodSpecification((MethodSpecificationHandle)handle);
                return [.. TypesOf(method.Method), .. method.DecodeSignature(this, null).SelectMany(argument => argument)];
            default:
                return [];
        }
    }

    private TypeDefinitionHandle Outermost(TypeDefinitionHandle handle)
    {
        for (var outer = handle; !outer.IsNil; outer = _metadata.GetTypeDefinition(outer).GetDeclaringType())
        {
            handle = outer;
        }
        return handle;
    }

    private (string Namespace, string Name) NameOf(TypeDefinitionHandle handle)
    {
        var type = _metadata.GetTypeDefinition(handle);
        return (_metadata.GetString(type.Namespace), _metadata.GetString(type.Name));
    }

    Types ISignatureTypeProvider<Types, object?>.GetFunctionPointerType(MethodSignature<Types> signature) => TypesOf(signature);

    Types ISignatureTypeProvider<Types, object?>.GetGenericMethodParameter(object? context, int index) => [];

    Types ISignatureTypeProvider<Types, object?>.GetGenericTypeParameter(object? context, int index) => [];

    Types ISignatureTypeProvider<Types, object?>.GetModifiedType(Types modifier, Types type, bool isRequired) => type;

    Types ISignatureTypeProvider<Types, object?>.GetPinnedType(Types type) => type;

    Types ISignatureTypeProvider<Types, object?>.GetTypeFromSpecification(MetadataReader reader, object? context, TypeSpecificationHandle handle, byte rawTypeKind) => TypesOf(handle);

    Types ISimpleTypeProvider<Types>.GetPrimitiveType(PrimitiveTypeCode code) => [];

    Types ISimpleTypeProvider<Types>.GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) => [handle];

    Types ISimpleTypeProvider<Types>.GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => [];

    Types ISZArrayTypeProvider<Types>.GetSZArrayType(Types element) => element;

    Types IConstructedTypeProvider<Types>.GetArrayType(Types element, ArrayShape shape) => element;

    Types IConstructedTypeProvider<Types>.GetByReferenceType(Types element) => element;

    Types IConstructedTypeProvider<Types>.GetPointerType(Types element) => element;

    Types IConstructedTypeProvider<Types>.GetGenericInstantiation(Types generic, ImmutableArray<Types> arguments) => [.. generic, .. arguments.SelectMany(argument => argument)];
}
